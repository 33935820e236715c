import { describe, expect, test } from '@jest/globals';
import { Caller, type Gateway } from 'meshwright';
import { createSimulator } from 'meshwright/testing';
import { shop } from '../../examples/shop/main.ts';
import { describeReference } from '../../runtime/model/index.ts';
import { type CorpusLine, readCorpus } from '../corpus/corpus.ts';

const simulate = createSimulator(shop);

function decide({ from, gateway, to, body, ...request }: CorpusLine['request']): CorpusLine['expect'] {
  const { decision, rule, targets, status, location } = simulate({
    ...request,
    ...(from && { from: Caller.serviceAccount('shop', from) }),
    to: gateway ? (shop.node.findChild(gateway) as Gateway) : `http://${to}`,
  });
  const denying = decision.targets.flatMap(({ receivers }) => receivers).find(({ allowed }) => !allowed)
    ?.access?.decision;
  const fault = decision.targets.flatMap(({ faults = [] }) => faults).find(({ probability }) => probability === 1);
  return {
    ...(rule && { rule: `${describeReference(decision.rule!.route)} ${rule}` }),
    ...(Object.keys(targets).length && { targets }),
    ...(status && { status }),
    ...(denying?.policy && { deniedBy: `${describeReference(denying.policy)} ${denying.rule?.name}` }),
    ...(fault && { fault: `${describeReference(fault.policy)} ${fault.fault.name}` }),
    ...(location && { location }),
  };
}

describe('in the shop', () => {
  test.each(readCorpus('shop'))('$name', ({ request, expect: expected }) => {
    expect(decide(request)).toEqual(expected);
  });
});
