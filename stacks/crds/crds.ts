import { ApiObject, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import { customResourceDefinitions } from '../../runtime/resources/index.ts';

/** What a cluster must know before it can hold a mesh: the kinds of meshwright.dev and the namespace of its own. */
export class Crds extends Chart {
  constructor(scope: Construct, id: string) {
    super(scope, id, { disableResourceNameHashes: true, labels: { 'app.kubernetes.io/part-of': 'meshwright' } });
    new k8s.KubeNamespace(this, 'Namespace', { metadata: { name: 'meshwright-system' } });
    for (const { metadata, ...definition } of customResourceDefinitions()) {
      new ApiObject(this, metadata.name, { ...definition, metadata });
    }
  }
}
