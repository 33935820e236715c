import { type ApiObject, ApiObject as ApiObjects } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { App, Mesh, Port, Service } from 'meshwright';
import type { Kind, ObjectOfKind } from '../../runtime/resources/index.ts';

export const workload = { image: 'example/service:1' };
export const http = { http: Port.http(8080) };

export function emptyMesh(id = 'shop'): Mesh {
  return new Mesh(new App(), id, { trustDomain: 'shop.local' });
}

/** A mesh with `web`, which calls `reviews` in two versions. */
export function smallMesh() {
  const mesh = emptyMesh();
  const reviews = new Service(mesh, 'reviews', { ports: http, workload, versions: { v1: {}, v2: {} } });
  const web = new Service(mesh, 'web', { ports: http, workload, calls: [reviews] });
  return { mesh, reviews, web };
}

/** The objects of one kind that the tree makes, by name. */
export function objectsOf<K extends Kind>(root: IConstruct, kind: K): Record<string, ObjectOfKind<K>> {
  const objects = root.node.root.node
    .findAll()
    .filter((construct): construct is ApiObject => ApiObjects.isApiObject(construct))
    .map((object) => object.toJson() as ObjectOfKind<K>);
  return Object.fromEntries(
    objects.filter((object) => object.kind === kind).map((object) => [object.metadata.name, object]),
  );
}
