import type { IConstruct } from 'constructs';
import { type catalogue, type Finding, type FindingId, finding } from '../../runtime/model/index.ts';

/** A construct that can tell what is wrong with it. */
export interface Checked extends IConstruct {
  /** @internal */
  _check(check: Check): void;
}

/** A question about the tree as a whole, answered once all constructs have had their say. */
export interface Analysis {
  finish(): void;
}

/** One validation of one tree: what constructs report to, and what they know of each other. */
export class Check {
  readonly #root: IConstruct;
  readonly #findings: Finding[] = [];
  readonly #owners = new Map<string, IConstruct>();
  readonly #analyses = new Map<unknown, Analysis>();

  constructor(root: IConstruct) {
    this.#root = root.node.root;
  }

  /** Reports a mistake in the user's terms: what, the value got, what is allowed; and the likely fix. */
  report(id: FindingId, construct: IConstruct, message: string, hint: string): void {
    if (isAcknowledged(construct, id)) return;
    this.#findings.push(finding(id, { message, hint, construct: construct.node.path }));
  }

  /** Whether a construct belongs to the tree being checked. */
  holds(construct: IConstruct): boolean {
    return construct.node.root === this.#root;
  }

  /** Claims what only one construct may have; returns the construct that already has it. */
  claim(key: string, construct: IConstruct): IConstruct | undefined {
    const owner = this.#owners.get(key);
    if (!owner) this.#owners.set(key, construct);
    return owner;
  }

  /** The one analysis of this kind in this check. */
  analysis<A extends Analysis>(type: new (check: Check) => A): A {
    let analysis = this.#analyses.get(type) as A | undefined;
    if (!analysis) {
      analysis = new type(this);
      this.#analyses.set(type, analysis);
    }
    return analysis;
  }

  /** What was reported so far. @internal */
  get _findings(): readonly Finding[] {
    return this.#findings;
  }

  /** Has the analyses report what only the whole tree shows. @internal */
  _finish(): void {
    for (const analysis of this.#analyses.values()) analysis.finish();
  }
}

/** Ids of findings that do not stop a synthesis. Errors cannot be acknowledged. */
export type AcknowledgeableId = {
  [Id in FindingId]: (typeof catalogue)[Id]['severity'] extends 'error' ? never : Id;
}[FindingId];

const acknowledgement = 'meshwright.dev/acknowledge';

/**
 * States that a finding about a construct, or about what is inside of it, is known and meant.
 *
 * @param reason - why it is meant, for those who read the code later
 */
export function acknowledge(construct: IConstruct, id: AcknowledgeableId, reason: string): void {
  construct.node.addMetadata(acknowledgement, { id, reason });
}

function isAcknowledged(construct: IConstruct, id: FindingId): boolean {
  return construct.node.scopes.some((scope) =>
    scope.node.metadata.some((entry) => entry.type === acknowledgement && entry.data.id === id),
  );
}
