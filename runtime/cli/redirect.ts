import { Command, InvalidArgumentError } from 'commander';
import { applyRules, defaultRedirect, parseCidr, type RedirectOptions, redirectRules } from '../interception/index.ts';
import { CommandError } from './exit-code.ts';

type Options = RedirectOptions & { readonly dryRun?: true };

export const command = new Command('redirect')
  .option('--skip-inbound-ports <ports>', 'ports of the pod that are reached directly', parsePorts, [])
  .option('--skip-outbound-ports <ports>', 'ports that are called directly, wherever they are', parsePorts, [])
  .option('--skip-outbound-cidrs <networks>', 'networks that are called directly', parseCidrs, [])
  .option('--proxy-uid <uid>', "the proxy's user", parseUid, defaultRedirect.proxyUid)
  .option('--inbound-port <port>', 'where the proxy takes what comes in', parsePort, defaultRedirect.inboundPort)
  .option('--outbound-port <port>', 'where the proxy takes what goes out', parsePort, defaultRedirect.outboundPort)
  .option('--dry-run', 'print the rules and change nothing')
  .addHelpText(
    'before',
    'Examples:\n  $ meshwright redirect --dry-run\n  $ meshwright redirect --skip-inbound-ports 9100 --skip-outbound-cidrs 169.254.0.0/16\n',
  )
  .action(async ({ dryRun, ...options }: Options) => {
    const skipInboundPorts = [...defaultRedirect.skipInboundPorts, ...options.skipInboundPorts];
    const rules = redirectRules({ ...options, skipInboundPorts });
    if (dryRun) {
      process.stdout.write(rules);
      return;
    }
    await applyRules(rules).catch((error: Error) => {
      throw new CommandError(error.message);
    });
  });

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(`"${text}" is no port; expected a number from 1 to 65535.`);
  }
  return port;
}

/** 0 is root: who is the proxy then, and who is not? */
function parseUid(text: string): number {
  const uid = Number(text);
  if (!/^\d{1,10}$/.test(text) || uid < 1 || uid > 2 ** 32 - 2) {
    throw new InvalidArgumentError(`"${text}" is no user of its own; expected a number from 1 to 4294967294.`);
  }
  return uid;
}

function parsePorts(text: string, former: readonly number[]): readonly number[] {
  return [...former, ...itemsOf(text).map(parsePort)];
}

function parseCidrs(text: string, former: readonly string[]): readonly string[] {
  try {
    return [...former, ...itemsOf(text).map(parseCidr)];
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

/** A list with commas. */
function itemsOf(text: string): readonly string[] {
  return text.split(',').map((item) => item.trim());
}
