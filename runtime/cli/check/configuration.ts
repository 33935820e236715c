import * as z from 'zod';
import { ApiError, type RawObject } from '../../kubernetes/index.ts';
import { apiVersions, customResourceDefinitions, gatewayControllerName } from '../../resources/index.ts';
import { signingChain } from './certificates.ts';
import { type Category, error, some, warning } from './check.ts';
import type { ClusterView } from './cluster-view.ts';

const condition = z.object({
  type: z.string(),
  status: z.string(),
  message: z.string().optional(),
  observedGeneration: z.int().optional(),
});
type Condition = z.infer<typeof condition>;
const conditions = z.array(condition).optional();
const objectSchema = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string().default(''), generation: z.int().optional() }),
  status: z
    .object({
      conditions,
      parents: z.array(z.object({ controllerName: z.string(), conditions })).optional(),
    })
    .optional(),
});
type Judged = z.infer<typeof objectSchema>;

const meshSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: z.object({ trustDomain: z.string().optional() }),
});

const ownKinds = customResourceDefinitions().map(({ spec }) => spec.names.kind);
const routeKinds = ['HTTPRoute', 'GRPCRoute'];
/** A cluster need not have these, nor in the version that is asked for. */
const connectionRouteKinds = ['TCPRoute', 'TLSRoute'];
/** Conditions that say whether an object is in force. */
const verdicts = ['Accepted', 'ResolvedRefs', 'Programmed'];

/** What the controller says of the objects that describe the mesh. */
export const configuration: Category = {
  name: 'configuration',
  needs: ['definitions', 'gateway-api', 'control-plane'],
  checks: [
    {
      id: 'mesh-object',
      description: 'there is a mesh',
      async run(cluster) {
        if ((await cluster.list({ apiVersion: apiVersions.meshwright, kind: 'Mesh' })).length > 0) return;
        return warning('no namespace has a Mesh object', 'apply what `cdk8s synth` writes of your mesh');
      },
    },
    {
      id: 'mesh-trust-domain',
      description: 'meshes name no other trust domain than the certificates',
      async run(cluster) {
        const [authority] = (await signingChain(cluster)) ?? [];
        const trustDomain = /URI:spiffe:\/\/([^/,]+)/.exec(authority?.subjectAltName ?? '')?.[1];
        // An authority of the user's need not name one.
        if (trustDomain === undefined) return;
        const meshes = await cluster.list({ apiVersion: apiVersions.meshwright, kind: 'Mesh' });
        const others = meshes
          .map((object) => meshSchema.parse(object))
          .filter(({ spec }) => (spec.trustDomain ?? trustDomain) !== trustDomain);
        if (others.length === 0) return;
        const names = others.map(
          ({ metadata, spec }) => `Mesh ${metadata.namespace}/${metadata.name} says ${spec.trustDomain}`,
        );
        return error(
          `${some(names)}, but certificates are of ${trustDomain}`,
          'leave it out of the Mesh; docs/install.md#the-trust-domain tells how to change that of the cluster',
        );
      },
    },
    {
      id: 'objects-judged',
      description: 'the controller has seen all objects as they are',
      settles: true,
      async run(cluster) {
        const pending = (await ownObjects(cluster)).filter(({ metadata, status }) => {
          const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
          return !accepted || (accepted.observedGeneration ?? 0) < (metadata.generation ?? 0);
        });
        if (pending.length === 0) return;
        return error(`it says nothing yet of ${some(pending.map(nameOf))}`, 'see the log of the controller');
      },
    },
    {
      id: 'objects-accepted',
      description: 'all objects are in force',
      async run(cluster) {
        const objects = [...(await ownObjects(cluster)), ...(await routes(cluster))];
        const refused = objects.flatMap((object) => {
          const no = conditionsOf(object).find(({ type, status }) => verdicts.includes(type) && status === 'False');
          return no ? [`${nameOf(object)} (${no.message || no.type})`] : [];
        });
        if (refused.length === 0) return;
        return error(`refused: ${some(refused)}`, 'kubectl describe them; correct what their conditions complain of');
      },
    },
  ],
};

async function ownObjects(cluster: ClusterView): Promise<Judged[]> {
  const lists = await Promise.all(ownKinds.map((kind) => cluster.list({ apiVersion: apiVersions.meshwright, kind })));
  return lists.flat().map(parse);
}

async function routes(cluster: ClusterView): Promise<Judged[]> {
  const list = (kind: string) => cluster.list({ apiVersion: apiVersions.gateway, kind });
  const lists = await Promise.all([
    ...routeKinds.map(list),
    ...connectionRouteKinds.map((kind) => list(kind).catch(noneIfUnknown)),
  ]);
  return lists.flat().map(parse);
}

function noneIfUnknown(error: unknown): readonly RawObject[] {
  if (error instanceof ApiError && error.status === 404) return [];
  throw error;
}

function parse(object: RawObject): Judged {
  return objectSchema.parse(object);
}

/** Of a route those that this controller wrote: others may have parents of their own. */
function conditionsOf({ status }: Judged): readonly Condition[] {
  const parents = status?.parents?.filter(({ controllerName }) => controllerName === gatewayControllerName) ?? [];
  return [...(status?.conditions ?? []), ...parents.flatMap(({ conditions = [] }) => conditions)];
}

function nameOf({ kind, metadata }: Judged): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}
