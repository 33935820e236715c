import { get } from 'node:http';
import { connect } from 'node:net';

/** How to ask whether something on 127.0.0.1 is ready: an HTTP path to get, or just a connection. */
export interface ReadinessCheck {
  readonly port: number;
  readonly path?: string;
}

const patience = 1000;

export function isReady({ port, path }: ReadinessCheck): Promise<boolean> {
  return path === undefined ? acceptsConnections(port) : answersWell(port, path);
}

function acceptsConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: patience });
    const finish = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
    socket.once('timeout', () => finish(false));
  });
}

/** Any status from 200 to 399 is good, as a kubelet sees it. */
function answersWell(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ port, host: '127.0.0.1', path, agent: false, timeout: patience }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
    });
    request.once('error', () => resolve(false));
    request.once('timeout', () => request.destroy());
  });
}
