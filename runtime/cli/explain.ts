import { Command } from 'commander';
import { decide } from '../engine/index.ts';
import { formatDecision, formatReasons, summarise, summariseReasons } from './decision-report.ts';
import { print } from './output.ts';
import { type RequestOptions, readRequest, withRequestOptions } from './request-options.ts';

export const command = withRequestOptions(new Command('explain'))
  .addHelpText(
    'before',
    'Examples:\n  $ meshwright explain --from shop/web --to http://cart:7070/items -X DELETE\n  $ meshwright explain --gateway shop/shop --to http://shop.local/ --manifests dist\n',
  )
  .action(async (options: RequestOptions) => {
    const { mesh, request } = await readRequest(options);
    const decision = decide(mesh, request);
    const data = { ...summarise(decision), considered: summariseReasons(decision) };
    print(data, options.output, () => `${formatDecision(decision)}\n\n${formatReasons(decision)}`);
  });
