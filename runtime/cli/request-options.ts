import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { createSnapshot, isAddress, type MeshSnapshot, type SimulatedRequest } from '../engine/index.ts';
import { readManifests } from '../local/index.ts';
import type { Manifest } from '../resources/index.ts';
import { standIns, translate } from '../translate/index.ts';
import { usageError } from './exit-code.ts';
import { hasErrors, printFindings } from './findings.ts';
import { readFolder } from './manifests.ts';
import { type OutputFormat, outputOption } from './output.ts';
import { theRunningMesh } from './running-mesh.ts';
import { synthesise } from './synth.ts';

export interface RequestOptions {
  readonly from?: string;
  readonly gateway?: string;
  readonly client?: string;
  readonly to: string;
  readonly request: string;
  readonly header: readonly string[];
  readonly serverName?: string;
  readonly manifests?: string;
  readonly output: OutputFormat;
}

/** The options by which `explain` and `simulate` are told of a request and of the mesh it is made in. */
export function withRequestOptions(command: Command): Command {
  return command
    .option('--from <namespace/name>', 'the workload or service that sends it; else a client without identity')
    .option('--gateway <namespace/name>', 'the gateway it enters by, from outside the mesh')
    .option('--client <address>', 'the address of a client without identity; else it is not known')
    .requiredOption('--to <url>', 'where it is sent: http://cart:7070/items')
    .option('-X, --request <method>', 'its method', 'GET')
    .addOption(
      new Option('-H, --header <name: value>', 'a header; may be repeated')
        .default([], 'none')
        .argParser((value: string, before: string[]) => [...before, value]),
    )
    .option('--server-name <name>', 'the server that its TLS handshake names; else the host, where --to is https:')
    .option(
      '--manifests <folder|app>',
      'the mesh as manifests, or the app that makes them; else the one that runs here',
    )
    .addOption(outputOption());
}

export async function readRequest(
  options: RequestOptions,
): Promise<{ readonly mesh: MeshSnapshot; readonly request: SimulatedRequest }> {
  const { from, gateway, client, request: method } = options;
  if (from !== undefined && gateway !== undefined) throw usageError('--from and --gateway exclude each other');
  if (from !== undefined && client !== undefined) throw usageError('--from and --client exclude each other');
  if (client !== undefined && !isAddress(client))
    throw usageError(`--client must be an address of IPv4 or IPv6, got ${client}`);
  if (!URL.canParse(options.to))
    throw usageError(`--to must be a URL such as http://cart:7070/items, got ${options.to}`);
  const url = new URL(options.to);
  const isTls = url.protocol === 'https:';
  const serverName = options.serverName ?? (isTls ? url.hostname : undefined);
  const mesh = await readMesh(options.manifests);
  if (gateway !== undefined && !mesh.gateways.has(gateway)) throw unknown('gateway', gateway, mesh.gateways.keys());
  return {
    mesh,
    request: {
      ...(from === undefined ? {} : { from: senderOf(from, mesh) }),
      ...(gateway === undefined ? {} : { gateway }),
      ...(client === undefined ? {} : { client }),
      to: isTls && url.port === '' ? `${url.host}:443` : url.host,
      ...(serverName === undefined ? {} : { serverName }),
      method: method.toUpperCase(),
      // As written: URL would resolve what the proxies must see.
      path: /^[a-z]+:\/\/[^/?#]+([/?][^#]*)?/i.exec(options.to)?.[1] ?? '/',
      headers: parseHeaders(options.header),
    },
  };
}

/** A workload by its own name, or by that of a service it stands behind. */
function senderOf(name: string, { workloads }: MeshSnapshot): string {
  const found = workloads.get(name) ?? [...workloads.values()].find(({ service }) => service === name);
  if (!found) throw unknown('workload', name, workloads.keys());
  return found.name;
}

function parseHeaders(lines: readonly string[]): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (const line of lines) {
    const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) throw usageError(`-H must be 'name: value', got '${line}'`);
    const key = name.toLowerCase();
    headers[key] = [...(headers[key] ?? []), value];
  }
  return headers;
}

async function readMesh(path: string | undefined): Promise<MeshSnapshot> {
  if (path === undefined) return snapshotOf(readManifests([theRunningMesh().manifests]));
  if (!existsSync(path)) throw usageError(`${path} is not there`);
  if (isFolderOfManifests(path)) return snapshotOf(readFolder(path));
  const folder = mkdtempSync(join(tmpdir(), 'meshwright-'));
  try {
    return snapshotOf(await synthesise(path, folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isFolderOfManifests(path: string): boolean {
  return statSync(path).isDirectory() && !existsSync(join(path, 'main.ts'));
}

/** Manifests are taken as if every replica were ready: the question is what the rules say. */
function snapshotOf({ objects, findings }: Manifest): MeshSnapshot {
  const translation = translate([...objects, ...standIns(objects)]);
  const errors = [...findings, ...translation.findings].filter((one) => hasErrors([one]));
  printFindings(errors);
  return createSnapshot(translation.resources);
}

function unknown(kind: string, name: string, known: Iterable<string>) {
  return usageError(`unknown ${kind} ${name}; there are: ${[...known].sort().join(', ') || 'none'}`);
}
