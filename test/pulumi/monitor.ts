import { createRequire } from 'node:module';
import type * as grpcSdk from '@grpc/grpc-js';
import type * as aliasModule from '@pulumi/pulumi/proto/alias_pb.js';
import type * as resourceModule from '@pulumi/pulumi/proto/resource_pb.js';

/*
 * The other end of Pulumi's SDK: takes the place of the engine and the Kubernetes provider, in so far as they speak
 * with a program. It knows no state and compares nothing.
 */

// What protoc generates for CommonJS has no names that ESM could import.
const load = createRequire(createRequire(import.meta.url).resolve('@pulumi/pulumi'));
const proto = load('@pulumi/pulumi/proto/resource_pb.js') as typeof resourceModule;
const { Struct } = load('google-protobuf/google/protobuf/struct_pb.js') as {
  Struct: { fromJavaScript(value: unknown): never };
};
const empty = load('google-protobuf/google/protobuf/empty_pb.js') as { Empty: new () => never };

/** Stands for what is not known in a preview. */
export const unknown = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';

/** How the SDK writes a secret. */
export function secret(value: unknown) {
  return { '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270', value };
}

type Inputs = Record<string, unknown>;

/** One resource that a program registered. */
export interface Registration {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  /** Whether it is an object and not a component. */
  readonly custom: boolean;
  readonly inputs: Inputs;
  readonly dependencies: readonly string[];
  /** What each top-level input depends on. */
  readonly propertyDependencies: Readonly<Record<string, readonly string[]>>;
  readonly aliases: readonly string[];
  readonly provider: string;
  readonly protect: boolean;
  readonly ignoreChanges: readonly string[];
  readonly transforms: number;
  readonly options: { readonly retainOnDelete: boolean; readonly createTimeout: string; readonly importId: string };
}

type Callback<T> = (error: Partial<grpcSdk.ServiceError> | null, response?: T) => void;

export interface MonitorOptions {
  readonly preview?: boolean;
  /** Outputs of other stacks by their names. */
  readonly stacks?: Readonly<Record<string, Inputs>>;
  /** Makes an object and says what became of it, in the place of the Kubernetes provider; in a preview only says it. */
  readonly provide?: (registration: Registration, preview: boolean) => Promise<Inputs>;
  /** Says why a resource cannot be made. */
  readonly refuse?: (registration: Registration) => string | undefined;
}

/** What a Service is given by a cluster; in a preview a server's dry run says something like it, though it is invented. */
export const clusterIP = '10.96.7.7';
export const ingressAddress = '192.0.2.7';

export class Monitor {
  readonly project = 'shop';
  readonly stack = 'dev';
  readonly preview: boolean;
  readonly registrations: Registration[] = [];
  /** Outputs of components and of the stack by URN. */
  readonly outputs = new Map<string, Inputs>();
  readonly #options: MonitorOptions;
  readonly #urns = new Set<string>();

  constructor(options: MonitorOptions = {}) {
    this.#options = options;
    this.preview = options.preview ?? false;
  }

  /** The objects it was told of, sorted by URN. */
  get objects(): readonly Registration[] {
    return this.sorted.filter(isObject);
  }

  /** In an order that does not depend on which call came first. */
  get sorted(): readonly Registration[] {
    return this.registrations.toSorted((a, b) => (a.urn < b.urn ? -1 : 1));
  }

  /** The resource at a construct path. */
  at(name: string): Registration {
    const found = this.registrations.find((registration) => registration.name === name);
    if (!found) throw new Error(`nothing is registered as ${name}`);
    return found;
  }

  get stackOutputs(): Inputs | undefined {
    return this.outputs.get(this.#urn('', 'pulumi:pulumi:Stack', `${this.project}-${this.stack}`));
  }

  getDeploymentInfo(_: unknown, callback: Callback<resourceModule.DeploymentInfo>): void {
    const info = new proto.DeploymentInfo();
    const {
      RESOURCE_MONITOR_FEATURE_SECRETS: secrets,
      RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES: references,
      RESOURCE_MONITOR_FEATURE_ALIAS_SPECS: aliases,
      RESOURCE_MONITOR_FEATURE_DELETED_WITH: deletedWith,
      RESOURCE_MONITOR_FEATURE_TRANSFORMS: transforms,
    } = proto.ResourceMonitorFeature;
    info.setSupportedfeaturesList([secrets, references, aliases, deletedWith, transforms]);
    callback(null, info);
  }

  supportsFeature(_: unknown, callback: Callback<resourceModule.SupportsFeatureResponse>): void {
    const response = new proto.SupportsFeatureResponse();
    response.setHassupport(true);
    callback(null, response);
  }

  registerResource(
    request: resourceModule.RegisterResourceRequest,
    callback: Callback<resourceModule.RegisterResourceResponse>,
  ): void {
    const registration = this.#read(request);
    const refusal = this.#problemOf(registration) ?? this.#options.refuse?.(registration);
    if (refusal) {
      callback({ code: 2, message: refusal, details: refusal });
      return;
    }
    this.registrations.push(registration);
    const { provide } = this.#options;
    const given = provide && isObject(registration) ? provide(registration, this.preview) : givenByServer(registration);
    Promise.resolve(given).then(
      (outputs) => callback(null, this.#answer(registration, outputs)),
      ({ message }) => callback({ code: 2, message, details: message }),
    );
  }

  #answer(registration: Registration, outputs: Inputs): resourceModule.RegisterResourceResponse {
    this.#urns.add(registration.urn);
    const response = new proto.RegisterResourceResponse();
    response.setUrn(registration.urn);
    if (registration.custom && !this.preview) response.setId(idOf(registration));
    response.setObject(Struct.fromJavaScript({ ...registration.inputs, ...outputs }));
    return response;
  }

  registerResourceOutputs(request: resourceModule.RegisterResourceOutputsRequest, callback: Callback<never>): void {
    this.outputs.set(request.getUrn(), request.getOutputs()!.toJavaScript() as Inputs);
    callback(null, new empty.Empty());
  }

  readResource(
    request: resourceModule.ReadResourceRequest,
    callback: Callback<resourceModule.ReadResourceResponse>,
  ): void {
    const name = request.getName();
    const outputs = this.#options.stacks?.[name];
    if (!outputs) {
      callback({ code: 2, message: `unknown stack ${name}` });
      return;
    }
    const response = new proto.ReadResourceResponse();
    const urn = this.#urn('', request.getType(), name);
    this.#urns.add(urn);
    response.setUrn(urn);
    response.setProperties(Struct.fromJavaScript({ name, outputs, secretOutputNames: [] }));
    callback(null, response);
  }

  signalAndWaitForShutdown(_: unknown, callback: Callback<never>): void {
    callback(null, new empty.Empty());
  }

  #read(request: resourceModule.RegisterResourceRequest): Registration {
    const [type, name, parent] = [request.getType(), request.getName(), request.getParent()];
    return {
      urn: this.#urn(parent, type, name),
      type,
      name,
      parent,
      custom: request.getCustom(),
      inputs: (request.getObject()?.toJavaScript() ?? {}) as Inputs,
      dependencies: request.getDependenciesList().toSorted(),
      propertyDependencies: Object.fromEntries(
        request
          .getPropertydependenciesMap()
          .toArray()
          .map(([key, value]) => [key, (value as unknown as [string[]])[0] ?? []]),
      ),
      aliases: request
        .getAliasesList()
        .map((alias: aliasModule.Alias) => alias.getUrn() || JSON.stringify(alias.getSpec()?.toObject().type)),
      provider: request.getProvider(),
      protect: request.getProtect() ?? false,
      ignoreChanges: request.getIgnorechangesList(),
      transforms: request.getTransformsList().length,
      options: {
        retainOnDelete: request.getRetainondelete() ?? false,
        createTimeout: request.getCustomtimeouts()?.getCreate() ?? '',
        importId: request.getImportid(),
      },
    };
  }

  /** What the engine would refuse. */
  #problemOf({ urn, parent, dependencies }: Registration): string | undefined {
    if (this.#urns.has(urn)) return `Duplicate resource URN '${urn}'; try giving it a unique name`;
    const missing = [parent, ...dependencies].find((other) => other && !this.#urns.has(other));
    return missing && `${urn} refers to ${missing}, which is not registered`;
  }

  #urn(parent: string, type: string, name: string): string {
    const parentType = parent.split('::').at(2);
    const types = parentType && parentType !== 'pulumi:pulumi:Stack' ? `${parentType}$${type}` : type;
    return `urn:pulumi:${this.stack}::${this.project}::${types}::${name}`;
  }
}

function isObject({ type, custom }: Registration): boolean {
  return custom && !type.startsWith('pulumi:');
}

function idOf({ inputs, name }: Registration): string {
  const { namespace, name: objectName } = (inputs.metadata ?? {}) as { namespace?: string; name?: string };
  return [namespace, objectName ?? name].filter(Boolean).join('/');
}

function givenByServer({ type, inputs }: Registration): Inputs {
  if (type !== 'kubernetes:core/v1:Service') return {};
  return {
    spec: { ...(inputs.spec as Inputs), clusterIP },
    status: { loadBalancer: { ingress: [{ ip: ingressAddress }] } },
  };
}
