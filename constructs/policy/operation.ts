import type { IConstruct } from 'constructs';
import type { AccessPolicyRule } from '../../runtime/resources/index.ts';
import type { IPolicyTarget } from '../interfaces.ts';
import type { HttpMethod, Path } from '../match.ts';
import type { Check } from '../synth/check.ts';
import { checkPath } from '../synth/match-rules.ts';
import { speaksOnlyTcp } from './target-ref.ts';

/** What is called. An operation matches where the method and the path do; what is left out does not restrict. */
export interface Operation {
  /**
   * Alternatives.
   * @default - every method
   */
  readonly methods?: readonly HttpMethod[];

  /**
   * Alternatives.
   * @default - every path
   */
  readonly paths?: readonly Path[];
}

/** Reports operations that restrict nothing, or that the target cannot have. */
export function checkOperations(
  check: Check,
  construct: IConstruct,
  place: string,
  target: IPolicyTarget,
  operations: readonly Operation[] | undefined,
): void {
  if (operations && speaksOnlyTcp(target)) {
    check.report(
      'MW1338',
      construct,
      `${place}: ${target._backend().service.serviceName} speaks tcp, which has no methods and paths`,
      'leave `to` out: the rule then holds for connections',
    );
  }
  for (const operation of operations ?? []) {
    if (!operation.methods?.length && !operation.paths?.length) {
      check.report(
        'MW1336',
        construct,
        `${place}: an operation states neither methods nor paths`,
        'state what is called, or leave `to` out for everything',
      );
    }
    for (const path of operation.paths ?? []) checkPath(check, construct, place, path);
  }
}

export function renderOperations(operations: readonly Operation[]): NonNullable<AccessPolicyRule['to']> {
  return operations.map(({ methods, paths }) => ({
    ...(methods && { methods: [...methods] }),
    ...(paths && { paths: paths.map(({ type, value }) => ({ type, value })) }),
  }));
}
