import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Bench, type Figure } from '../bench.ts';
import { memoryOf } from '../host/process-memory.ts';
import { Workspace } from '../host/workspace.ts';
import { inRounds } from '../rounds.ts';

const count = 10_000;
/** Opened at once: what a listener's backlog takes. */
const batch = 200;
const settleMilliseconds = 3000;

/** Clients that asked once and keep their connections. */
export const connections: Figure = {
  summary: `private memory of an idle keep-alive connection, ${count} of them to one sidecar`,
  async measure({ options }) {
    const subjects = ['meshwright', ...options.peers.filter((name) => name !== 'haproxy')].map((name) => ({ name }));
    return inRounds(subjects, [{ name: `${count} connections` }], options, async ({ name }) => {
      const workspace = new Workspace();
      const sockets: Socket[] = [];
      try {
        const peers = name === 'meshwright' ? [] : [name];
        const pairs = await new Bench(options, workspace).start({ peers });
        const pair = pairs.find((one) => one.name === name);
        if (!pair) return [];
        const { pid } = pair.processes[0];
        // What the first ones need once (code, pools, tables) is not counted to all of them.
        await open(pair.url, batch, sockets);
        await settle();
        const before = memoryOf(pid).private;
        await open(pair.url, count - batch, sockets);
        await settle();
        const value = (memoryOf(pid).private - before) / (count - batch);
        return [{ figure: 'memory-per-idle-connection', unit: 'bytes', value }];
      } finally {
        for (const socket of sockets) socket.destroy();
        await workspace.close();
      }
    });
  },
};

async function open(url: string, wanted: number, sockets: Socket[]): Promise<void> {
  for (let opened = 0; opened < wanted; opened += batch) {
    sockets.push(...(await Promise.all(Array.from({ length: Math.min(batch, wanted - opened) }, () => ask(url)))));
  }
}

/** Sends one request and reads its answer. */
async function ask(url: string): Promise<Socket> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: app.bench\r\n\r\n`);
  const [answer] = await once(socket, 'data');
  if (!String(answer).startsWith('HTTP/1.1 200')) throw new Error(`expected 200, got ${String(answer).slice(0, 80)}`);
  // Whatever happens to one of thousands: what counts is what the sidecar keeps of those that stay.
  return socket.on('error', () => {}).on('data', () => {});
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, settleMilliseconds));
}
