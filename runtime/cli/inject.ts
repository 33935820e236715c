import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Command, InvalidArgumentError } from 'commander';
import { defaultSettings, type InjectionSettings, injectManifests, type ObjectInjection } from '../injection/index.ts';
import { CommandError, exitCode, usageError } from './exit-code.ts';
import { hasErrors, printFindings } from './findings.ts';
import { parseTrustDomain } from './trust-domain.ts';

export const command = new Command('inject')
  .argument('[file]', 'YAML or JSON; - is standard input', '-')
  .option('--trust-domain <name>', "of the mesh's identities", parseTrustDomain, defaultSettings.trustDomain)
  .option('--image <image>', 'of the proxy', defaultSettings.image)
  .option('--controller-address <host:port>', 'as pods reach it', parseAddress, defaultSettings.controllerAddress)
  .option('--no-access-log', 'have proxies write no access log')
  .addHelpText(
    'before',
    `Examples:
  $ meshwright inject deployment.yaml | kubectl apply -f -
  $ kubectl -n shop get deployments -o yaml | meshwright inject | kubectl apply -f -
  $ meshwright inject --trust-domain shop.example - < pods.yaml > injected.yaml

Injects what runs pods: no label is needed, but meshwright.dev/inject: disabled is heeded.
`,
  )
  .action(async (file: string, settings: InjectionSettings) => {
    const { text, objects, findings } = injectManifests(await read(file), file === '-' ? 'stdin' : file, settings);
    for (const object of objects) process.stderr.write(`${describe(object)}\n`);
    if (objects.length === 0 && findings.length === 0) process.stderr.write('nothing in it runs pods\n');
    const all = [...findings, ...objects.flatMap(findingsOf)];
    printFindings(all);
    // Half of a mesh is worse than none: what follows in the pipe gets nothing.
    if (hasErrors(all)) throw new CommandError('', exitCode.findings);
    process.stdout.write(text);
  });

async function read(file: string): Promise<string> {
  if (file !== '-') {
    return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw usageError(`${file} cannot be read: ${error.code === 'ENOENT' ? 'it is not there' : error.message}`);
    });
  }
  if (process.stdin.isTTY) throw usageError('name a file, or give manifests on standard input');
  return text(process.stdin);
}

function describe({ place, injection }: ObjectInjection): string {
  return injection.kind === 'injected' ? `injected ${place}` : `skipped ${place}: ${injection.reason}`;
}

function findingsOf({ injection }: ObjectInjection) {
  return injection.kind === 'skipped' ? injection.findings : [];
}

function parseAddress(value: string): string {
  const match = /^(?:\[[0-9a-fA-F:]+\]|[^:[\]\s$]+):(\d{1,5})$/.exec(value);
  if (match && Number(match[1]) > 0 && Number(match[1]) <= 65_535) return value;
  throw new InvalidArgumentError('Expected host:port.');
}
