import { ApiObject, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { customResourceDefinitions } from '../../runtime/resources/index.ts';

/** The labels of everything that installs Meshwright. */
export const partOf = { 'app.kubernetes.io/part-of': 'meshwright' };

/** What a cluster must know before it can hold a mesh: the kinds of meshwright.dev. */
export class Crds extends Chart {
  constructor(scope: Construct, id: string) {
    super(scope, id, { disableResourceNameHashes: true, labels: partOf });
    new Definitions(this, 'Definitions');
  }
}

/** The kinds of meshwright.dev, as part of another chart. */
export class Definitions extends Construct {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    for (const { metadata, ...definition } of customResourceDefinitions()) {
      new ApiObject(this, metadata.name, { ...definition, metadata });
    }
  }
}
