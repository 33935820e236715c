import { describeObject } from '../../resources/index.ts';
import { valueAt } from '../collections.ts';
import type { Report } from '../report.ts';
import type { RouteObject } from './backends.ts';
import { describeMatch } from './matches.ts';
import type { CompiledRule } from './rules.ts';

/** Finds matches that stand twice on one parent. The first one, of the oldest route, is the one that counts. */
export interface ConflictCheck {
  /** `parent` is whatever stands for the parent in memory, `place` its name for people. */
  check(parent: object, route: RouteObject, rule: CompiledRule, place: string): void;
}

export function createConflictCheck(report: Report): ConflictCheck {
  const owners = new Map<object, Map<string, RouteObject>>();
  return {
    check(parent, route, { rule, keys }, place) {
      const taken = valueAt(owners, parent, () => new Map<string, RouteObject>());
      for (const [index, key] of keys.entries()) {
        const owner = taken.get(key);
        if (!owner) {
          taken.set(key, route);
          continue;
        }
        const match = describeMatch(rule.matches[index]);
        if (owner === route) {
          report('MW1205', route, {
            message: `rule ${rule.name} repeats an earlier match on ${place}: ${match}`,
            hint: 'remove one of the two, or make one of them say more',
          });
        } else {
          report('MW1204', route, {
            message: `${describeObject(owner)} already has this match on ${place}: ${match}; the older route wins`,
            hint: 'move both into one route, or make one of them say more',
          });
        }
      }
    },
  };
}
