import { Command } from 'commander';
import { decide } from '../engine/index.ts';
import { formatDecision, summarise } from './decision-report.ts';
import { print } from './output.ts';
import { type RequestOptions, readRequest, withRequestOptions } from './request-options.ts';

export const command = withRequestOptions(new Command('simulate'))
  .addHelpText(
    'before',
    "Examples:\n  $ meshwright simulate --from shop/web --to http://reviews:9080/reviews/walden\n  $ meshwright simulate --from shop/web --to http://reviews:9080/ -H 'x-canary: always' --manifests examples/shop\n",
  )
  .action(async (options: RequestOptions) => {
    const { mesh, request } = await readRequest(options);
    const decision = decide(mesh, request);
    print(summarise(decision), options.output, () => formatDecision(decision));
  });
