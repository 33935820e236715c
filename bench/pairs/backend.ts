import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { freePorts } from '../host/ports.ts';
import { findProgram } from '../host/tools.ts';
import type { Workspace } from '../host/workspace.ts';
import { type Application, measuredPath } from './pair.ts';
import { writeFilled } from './template.ts';

/** Bodies that the HTTP backend serves, by path, in bytes. */
export const bodies = { '/bodies/64k': 65_536, '/bodies/1m': 1_048_576 } as const;

/** Starts the application that every pair forwards to; gives its port. */
export async function startBackend(workspace: Workspace, application: Application): Promise<number> {
  const [port] = await freePorts(1);
  await (application === 'grpc' ? startGrpc : startHttp)(workspace, port);
  return port;
}

async function startHttp(workspace: Workspace, port: number): Promise<void> {
  const program = findProgram('nginx');
  for (const [path, size] of Object.entries(bodies)) await serveFile(workspace, path, Buffer.alloc(size, 'body '));
  const config = await writeFilled(workspace, 'backend.conf', { BACKEND: port, FILES: workspace.path('files') });
  workspace.start('nginx', program, ['-p', workspace.directory, '-e', 'stderr', '-c', config]);
}

/** A message of gRPC: not compressed, and its length. */
export const grpcMessage = Buffer.from([0, 0, 0, 0, 7, 10, 5, ...Buffer.from('hello')]);

/** Answers each call with the same message and an OK: nginx cannot, which sends no trailers. */
async function startGrpc(workspace: Workspace, port: number): Promise<void> {
  const program = findProgram('nghttpd', 'nghttp2-server');
  await serveFile(workspace, measuredPath.grpc, grpcMessage);
  const args = ['--no-tls', '--address=127.0.0.1', `--htdocs=${workspace.path('files')}`, '--trailer=grpc-status: 0'];
  workspace.start('nghttpd', program, [...args, '--max-concurrent-streams=1000', String(port)]);
}

async function serveFile(workspace: Workspace, path: string, content: Buffer): Promise<void> {
  const file = workspace.path(`files${path}`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}
