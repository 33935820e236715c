import { createServer as createHttpServer } from 'node:http';
import { connect } from 'node:net';
import { defaultHttpLimits, type HttpLimits } from '../../runtime/net/index.ts';
import { startCertificateLender } from '../support/certificate-lender.ts';
import { closeLater, createAuthority, freePort, readAll, startProxy, startServer, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

/** What the application was asked, and whether it got the whole of it. */
interface Heard {
  readonly line: string;
  readonly headers: string[];
  /** Known once it is complete. */
  trailers(): string[];
  complete(): boolean;
}

export async function startRecordingApp() {
  const heard: Heard[] = [];
  const server = createHttpServer((request, response) => {
    heard.push({
      line: `${request.method} ${request.url}`,
      headers: request.rawHeaders,
      trailers: () => request.rawTrailers,
      complete: () => request.complete,
    });
    request.on('error', () => {});
    response.on('error', () => {});
    request.resume();
    request.on('end', () => response.end('answered'));
  });
  return { port: await startServer(server), heard };
}

/** An application, its sidecar, the sidecar of one that calls it, a gateway, and a stolen certificate. */
export async function startMesh(appPort: number, http: Partial<HttpLimits> = {}) {
  const authority = await createAuthority();
  const [inbound, outbound, listen] = [await freePort(), await freePort(), await freePort()];
  const limits = { http: { ...defaultHttpLimits, ...http } };
  const server = await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol: 'http' }],
    limits,
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${appPort}` }] },
  });
  const reviews = [
    service('reviews', 9080, 'http'),
    endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('reviews') }]),
  ];
  const client = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    limits,
    resources: reviews,
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  const rules = [forwardTo('shop/reviews', 9080)];
  await startProxy({
    serviceAccount: 'gateway',
    svid: await svidOf(authority, 'gateway'),
    gateway: 'shop/shop',
    limits,
    resources: [...reviews, gatewayOf('shop', rules)],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  const lender = await startCertificateLender(inbound, await svidOf(authority, 'web'));
  closeLater(() => lender.close());
  return { ports: { outbound, gateway: listen, inbound: lender.port }, server, client };
}

/** Says something on a connection of its own; resolves with all that is answered until the other side closes. */
export async function say(port: number, bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const answer = readAll(socket);
  socket.on('end', () => socket.end());
  socket.write(bytes, 'latin1');
  return answer;
}

type Door = 'outbound' | 'gateway';
export const doors: readonly Door[] = ['outbound', 'gateway'];
