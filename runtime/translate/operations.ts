import { checkPattern, type OperationMatch, type PathMatch } from '../model/index.ts';
import type { AccessPolicyRule } from '../resources/index.ts';

type Operation = NonNullable<AccessPolicyRule['to']>[number];
type Path = NonNullable<Operation['paths']>[number];

/** Translates what is called. A path that cannot be compared is reported, and `instead` stands for it. */
export function operationsOf(
  operations: readonly Operation[] = [],
  instead: PathMatch,
  report: (path: string, message: string) => void,
): OperationMatch[] {
  return operations.map(({ methods = [], paths = [] }, position) => ({
    methods,
    paths: paths.map((path, index) => {
      const problem = path.type === 'RegularExpression' ? checkPattern(path.value) : undefined;
      if (!problem) return pathMatchOf(path);
      report(`to[${position}].paths[${index}].value`, `pattern ${path.value}: ${problem}`);
      return instead;
    }),
  }));
}

function pathMatchOf({ type, value }: Path): PathMatch {
  return { kind: type === 'Exact' ? 'exact' : type === 'PathPrefix' ? 'prefix' : 'regex', value };
}
