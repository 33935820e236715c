import type { Input, Output } from '@pulumi/pulumi';
import type { IConstruct } from 'constructs';
import { type Finding, finding } from '../../runtime/model/index.ts';
import { optionsOf } from './options.ts';
import { pulumi } from './sdk.ts';

interface Former {
  readonly path: string;
  readonly urn: Output<string>;
}

/** Follows constructs that were moved, with all that is inside of them, so that their resources keep their identity. */
export class FormerNames {
  readonly #root: IConstruct;
  readonly #former = new Map<IConstruct, Former>();

  constructor(root: IConstruct) {
    this.#root = root;
  }

  /**
   * Reports moves from places that are not known.
   *
   * @param components - the constructs that have a resource
   */
  findings(components: ReadonlySet<IConstruct>): readonly Finding[] {
    return this.#root.node.findAll().flatMap((construct) => {
      const { movedFrom } = optionsOf(construct);
      if (movedFrom === undefined) return [];
      const parent = this.#parentOf(movedFrom);
      if (parent && components.has(parent)) return [];
      return finding('MW1147', {
        message: `it was moved from ${movedFrom}, but what was around it there is not in the tree`,
        hint: 'give a path below a construct that still is there, or state the whole former URN in `aliases`',
        construct: construct.node.path,
      });
    });
  }

  /**
   * The URN that a construct's resource had, where it or something around it was moved. Must be asked from the root
   * downwards.
   */
  urnOf(
    construct: IConstruct,
    type: string,
    { nameOf, currentUrnOf }: { nameOf(path: string): string; currentUrnOf(component: IConstruct): Input<string> },
  ): Output<string> | undefined {
    const { movedFrom } = optionsOf(construct);
    const scope = construct.node.scope && this.#former.get(construct.node.scope);
    let path: string;
    let parent: Input<string>;
    if (movedFrom !== undefined) {
      path = movedFrom;
      parent = currentUrnOf(this.#parentOf(movedFrom)!);
    } else if (scope) {
      path = `${scope.path}/${construct.node.id}`;
      parent = scope.urn;
    } else return undefined;
    const urn = pulumi.createUrn(nameOf(path), type, parent);
    this.#former.set(construct, { path, urn });
    return urn;
  }

  #parentOf(path: string): IConstruct | undefined {
    let parent: IConstruct | undefined = this.#root;
    for (const id of path.split('/').slice(0, -1)) parent = parent?.node.tryFindChild(id);
    return parent;
  }
}
