import { Chart, Lazy } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { annotations, injectEnabled, labels } from '../runtime/resources/index.ts';
import { metadata } from './metadata.ts';
import { asText, isUnknown } from './placeholder.ts';
import type { Ports } from './port.ts';
import type { Check, Checked } from './synth/check.ts';
import { reportLiteral } from './synth/outputs.ts';
import { checkReplicas, quote } from './synth/rules.ts';

/** A pod takes requests once its first port does: before, they would meet a program that is still starting. */
function readiness(ports: Ports): k8s.Probe | undefined {
  const [first] = Object.values(ports);
  return first && { tcpSocket: { port: k8s.IntOrString.fromNumber(first.containerPort) }, periodSeconds: 2 };
}

/** What runs a service. */
export interface WorkloadProps {
  /** The container image, for example `registry.example/reviews:1.4`. */
  readonly image: string;

  /**
   * The program and its arguments.
   * @default - the image's own entry point
   */
  readonly command?: readonly string[];

  /**
   * How many processes run.
   * @default 1
   */
  readonly replicas?: number;

  /**
   * Environment variables. `PORT` and `PORT_<NAME>` tell the program where to listen and are set by the service.
   * @default - only `PORT`, and `PORT_<NAME>` for each further port
   */
  readonly env?: Readonly<Record<string, string>>;
}

interface Props {
  /** Name of the Deployment and the ServiceAccount. */
  readonly name: string;
  readonly service: string;
  readonly version?: string;
  readonly ports: Ports;
  readonly workload: Partial<WorkloadProps>;
  /** Qualified names of the services it may call, asked at synthesis. */
  readonly calls: () => readonly string[];
}

/** The Deployment of a service or of one of its versions, with an identity of its own. */
export class Workload extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:Workload';

  readonly #props: Props;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.#props = props;
    const { name, service, version, workload } = props;
    const identity = { [labels.appName]: service, ...(version && { [labels.appVersion]: version }) };

    new k8s.KubeServiceAccount(this, 'ServiceAccount', { metadata: metadata(this, name, identity) });
    new k8s.KubeDeployment(this, 'Deployment', {
      metadata: metadata(this, name, identity),
      spec: {
        replicas: workload.replicas ?? 1,
        selector: { matchLabels: { [labels.workload]: name } },
        template: {
          metadata: {
            labels: {
              ...Chart.of(this).labels,
              ...identity,
              [labels.inject]: injectEnabled,
              [labels.workload]: name,
            },
            annotations: { [annotations.calls]: Lazy.any({ produce: () => props.calls().join(',') }) },
          },
          spec: {
            serviceAccountName: name,
            containers: [
              {
                name: 'app',
                image: workload.image,
                command: workload.command && [...workload.command],
                env: environment(props.ports, workload.env),
                ports: Object.entries(props.ports).map(([portName, port]) => ({
                  name: portName,
                  containerPort: port.containerPort,
                })),
                readinessProbe: readiness(props.ports),
              },
            ],
          },
        },
      },
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { name, workload, ports } = this.#props;
    checkReplicas(check, this, workload.replicas ?? 1);
    if (!workload.image) {
      check.report(
        'MW1138',
        this,
        `no image is stated for ${name}`,
        'state an image, in `workload` for all versions or in the version itself, or use Service.fromName for what runs already',
      );
    }
    const taken = new Set(portVariables(ports).map(([variable]) => variable));
    for (const variable of Object.keys(workload.env ?? {})) {
      if (taken.has(variable)) {
        check.report(
          'MW1140',
          this,
          `environment variable ${variable} is set by the service: it holds the port to listen on`,
          'leave it out, and set containerPort where the program listens on another port',
        );
      } else if (isUnknown(variable)) {
        reportLiteral(check, this, 'the name of an environment variable');
      } else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
        check.report(
          'MW1140',
          this,
          `environment variable ${quote(variable)} has an invalid name; allowed are letters, digits and underscores, no digit first`,
          'correct the name',
        );
      }
    }
  }
}

/** `PORT` for the first port, `PORT_<NAME>` for the others. */
function portVariables(ports: Ports): readonly (readonly [string, string])[] {
  return Object.entries(ports).map(([name, port], index) => [
    index ? `PORT_${name.toUpperCase().replaceAll('-', '_')}` : 'PORT',
    asText(port.containerPort),
  ]);
}

function environment(ports: Ports, env: Readonly<Record<string, string>> = {}): k8s.EnvVar[] {
  return [...portVariables(ports), ...Object.entries(env)].map(([name, value]) => ({ name, value }));
}
