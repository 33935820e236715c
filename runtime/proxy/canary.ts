import { connect, createServer } from 'node:net';
import { canaryAddress } from '../interception/index.ts';
import type { Clock } from '../model/index.ts';
import { type HostPort, parseHostPort } from './bootstrap.ts';

/** Milliseconds; on loopback the kernel answers at once. */
const patience = 1000;

/**
 * Rejects where the proxy's own connections are redirected to it: each would make it connect again, for ever. Call it
 * before anything listens on the `outbound` address.
 */
export async function refuseOwnTraffic(outbound: HostPort, clock: Clock): Promise<void> {
  const { host, port } = parseHostPort(outbound);
  // Only there does the canary's address differ from what is listened on.
  if (host !== '127.0.0.1') return;
  const server = createServer((socket) => socket.on('error', () => {}).destroy());
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const redirected = await new Promise<boolean>((resolve) => {
    const socket = connect(port, canaryAddress);
    const timer = clock.schedule(patience, () => socket.destroy());
    socket
      .once('connect', () => resolve(true))
      .once('close', () => {
        timer.cancel();
        resolve(false);
      });
    socket.on('error', () => {}).once('connect', () => socket.destroy());
  });
  await new Promise((resolve) => server.close(resolve));
  if (!redirected) return;
  throw new Error(
    `this proxy's own connections are redirected to it: it runs as user ${process.getuid?.()}, which is not the one that is left alone (1337, or what \`meshwright redirect --proxy-uid\` says); give its container runAsUser 1337`,
  );
}
