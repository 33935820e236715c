import {
  type BackendTarget,
  describeReference,
  type Fault,
  type FaultPolicy,
  type ObjectReference,
  type Random,
} from '../model/index.ts';
import { type Matcher, matchHeaders } from './matcher.ts';

/** A fault with its compiled conditions. */
export interface CompiledFault {
  readonly policy: ObjectReference;
  readonly fault: Fault;
  /** All must hold for the fault to be drawn. */
  readonly conditions: readonly Matcher<readonly string[]>[];
  /** For example `fault slow of FaultPolicy shop/ratings: 500 ms late`. */
  readonly reason: string;
}

export interface FaultInjector {
  /**
   * Draws the fault that a try meets. One number decides for all of them, so that each has exactly its share where the
   * shares do not exceed the whole.
   *
   * @param headers - `[name, value, name, value, …]`, names lower-case
   */
  draw(headers: readonly string[], random: Random): CompiledFault | undefined;
  /** In the order they are drawn. */
  readonly faults: readonly CompiledFault[];
}

/** Compiles the faults of a port; `undefined` where it has none. */
export function compileFaults(policies: readonly FaultPolicy[] = []): FaultInjector | undefined {
  const faults = policies.flatMap(({ policy, faults }) => faults.map((fault) => compileFault(policy, fault)));
  if (faults.length === 0) return undefined;
  return {
    faults,
    draw(headers, random) {
      let left: number | undefined;
      for (const compiled of faults) {
        if (!holds(compiled, headers)) continue;
        left ??= random() * 100;
        if (left < compiled.fault.percent) return compiled;
        left -= compiled.fault.percent;
      }
      return undefined;
    },
  };
}

export interface FaultConsideration {
  readonly policy: ObjectReference;
  readonly fault: Fault;
  /** With which a try meets it; 0 where a condition does not hold. */
  readonly probability: number;
  readonly reason: string;
}

/**
 * Says of each fault how probable it is.
 *
 * @param share - of tries that reach this injector: those that met no fault before
 */
export function explainFaults(
  { faults }: FaultInjector,
  headers: readonly string[],
  share = 1,
): readonly FaultConsideration[] {
  let left = 1;
  return faults.map((compiled) => {
    const { policy, fault, conditions } = compiled;
    const failing = conditions.find((condition) => !condition.test(headers));
    if (failing) return { policy, fault, probability: 0, reason: `not so: ${failing.describe()}` };
    const drawn = Math.min(left, fault.percent / 100);
    left -= drawn;
    const reason = [effectOf(fault), ...conditions.map((condition) => condition.describe())].join(', ');
    return { policy, fault, probability: drawn * share, reason };
  });
}

function compileFault(policy: ObjectReference, fault: Fault): CompiledFault {
  const reason = `fault ${fault.name} of ${describeReference(policy)}: ${effectOf(fault)}`;
  return { policy, fault, conditions: matchHeaders(fault.headers), reason };
}

function holds({ conditions }: CompiledFault, headers: readonly string[]): boolean {
  for (const condition of conditions) if (!condition.test(headers)) return false;
  return true;
}

function effectOf({ delay, abort, bandwidth: { request, response } = {} }: Fault): string {
  const late = delay ? `${delay} ms late` : undefined;
  const slow = [
    ...(request === undefined ? [] : [`request at ${request} bytes a second`]),
    ...(response === undefined ? [] : [`response at ${response} bytes a second`]),
  ];
  const answer = abort && `answered ${abort.kind === 'grpc' ? 'with gRPC status ' : ''}${abort.status}`;
  return [[answer, late].filter(Boolean).join(' '), ...slow].filter(Boolean).join(', ') || 'nothing happens';
}

/** The ports whose faults a request meets, one after the other: the one it asks for, and the one it is sent to. */
export function faultyTargets(asked: BackendTarget | undefined, target: BackendTarget): readonly BackendTarget[] {
  const same = asked?.service === target.service && asked.port === target.port;
  return asked && !same ? [asked, target] : [target];
}
