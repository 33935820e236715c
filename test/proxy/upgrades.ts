import type { IncomingMessage } from 'node:http';
import { startWebSocketApp } from '../support/web-socket.ts';
import { closeLater, type PairOptions, startPairTo } from './mesh.ts';

/** An application of WebSockets behind two sidecars, and what it was asked. */
export async function startChat(options: PairOptions = {}) {
  const requests: IncomingMessage[] = [];
  const app = await startWebSocketApp((request) => requests.push(request));
  closeLater(() => app.close());
  return { ...(await startPairTo(app.port, options)), app, requests };
}

/** A request for an upgrade, as HTTP/1.1 has it. */
export const upgradeTo = (protocol: string, more = ''): string =>
  `GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: ${protocol}\r\n${more}\r\n`;

/** The answer that begins it. */
export const switching = (protocol: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`;
