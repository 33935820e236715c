import type { Resource } from '@pulumi/pulumi';
import type { IConstruct } from 'constructs';
import { claimName, claimTree } from './claims.ts';
import { type ConstructOptions, ownOptions } from './options.ts';
import { planOf } from './plan.ts';
import { Registrar } from './registrar.ts';
import { pulumi } from './sdk.ts';

/** What holds for all resources of an app. */
export interface PulumiAppOptions extends Omit<ConstructOptions, 'movedFrom'> {
  /**
   * The component it belongs to.
   * @default - the stack
   */
  readonly parent?: Resource;

  /**
   * Whether Pulumi goes on without waiting until workloads are ready and the mesh has accepted its configuration.
   * @default false
   */
  readonly skipAwait?: boolean;
}

/**
 * Deploys a tree of constructs with Pulumi: one resource for each Kubernetes object, one component for each construct
 * around them. It takes the place of `synth(app)`; the tree is the same.
 *
 * Everything wrong with the tree is said before anything is registered. URNs are made of construct paths, so that
 * neither minifying nor renaming variables changes them; `configure(construct, { movedFrom })` follows moves.
 *
 * @example
 * const app = new App();
 * const shop = new Mesh(app, 'shop');
 * new PulumiApp('east', app, { provider: eastCluster });
 */
export class PulumiApp extends pulumi.ComponentResource {
  /**
   * @param name - first part of the names of all resources; give two apps of one stack different ones
   * @param tree - the app, or anything in it: the whole tree is deployed
   */
  constructor(name: string, tree: IConstruct, options: PulumiAppOptions = {}) {
    const { parent, skipAwait = false, ...common } = options;
    const plan = planOf(tree);
    claimTree(plan.root, name);
    claimName(parent ?? pulumi.runtime.getMonitor(), name);
    super('meshwright:index:App', name, {}, { ...ownOptions(common), parent });
    new Registrar(name, plan, skipAwait).run(this, common);
    this.registerOutputs();
  }
}
