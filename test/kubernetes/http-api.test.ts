import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { podCredentials } from '../../runtime/kubernetes/credentials.ts';
import { connectKubernetesApi } from '../../runtime/kubernetes/http-api.ts';
import { type KubernetesApi, openKubernetesApi, type RawObject } from '../../runtime/kubernetes/index.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Answer, coreKinds, HttpsServer, json } from './https-server.ts';

const pods = { apiVersion: 'v1', kind: 'Pod' };
const pod = (name: string, version = '1'): RawObject => ({
  ...pods,
  metadata: { name, namespace: 'shop', resourceVersion: version },
});
const closing: (() => unknown)[] = [];

/** A server that knows pods, and a client whose credentials are those of a pod. */
async function start(answer: Answer, clock = new ManualClock()) {
  const server = await HttpsServer.start((asked, response) => {
    if (asked.path === '/api/v1') json(response, coreKinds);
    else answer(asked, response);
  });
  closing.push(() => server[Symbol.asyncDispose]());
  const credentials = podCredentials(server.url, server.directory.path, clock);
  const api = connectKubernetesApi(async () => credentials, clock);
  closing.push(() => api.close());
  return { server, api, clock };
}

/** A watch of pods, with what came and the response to write further events to. */
async function startWatch() {
  let response: ServerResponse | undefined;
  const started = await start((_, given) => {
    response = given;
    given.writeHead(200);
    given.flushHeaders();
  });
  const ending = new AbortController();
  const events: string[] = [];
  let open = false;
  const watch = started.api.watch(pods, {
    resourceVersion: '7',
    signal: ending.signal,
    idleTimeout: 60_000,
    lifetime: 300_000,
    onOpen: () => {
      open = true;
    },
    onEvent: (type, { metadata }) => events.push(`${type} ${metadata.name ?? metadata.resourceVersion}`),
  });
  watch.catch(() => {});
  const send = (part: string | Buffer) => response!.write(part);
  // Until then the time that runs is another: that for an answer.
  await eventually(() => open);
  return { ...started, watch, events, send, stop: () => ending.abort(), finish: () => response!.end() };
}

const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`;

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('a call', () => {
  it('finds where a kind is once, and says who asks', async () => {
    const { api, server } = await start((_, response) => json(response, pod('web')));
    const ref = { ...pods, namespace: 'shop', name: 'web' };
    expect(await api.read(ref)).toStrictEqual(pod('web'));
    await api.replace(pod('web'), 'status');
    await api.apply(pod('web'), { fieldManager: 'me', force: true, dryRun: true });
    const seen = server.asked.map(({ method, path, query }) => ({ method, path, query }));
    expect(seen).toStrictEqual([
      { method: 'GET', path: '/api/v1', query: {} },
      { method: 'GET', path: '/api/v1/namespaces/shop/pods/web', query: {} },
      { method: 'PUT', path: '/api/v1/namespaces/shop/pods/web/status', query: {} },
      {
        method: 'PATCH',
        path: '/api/v1/namespaces/shop/pods/web',
        query: { fieldManager: 'me', force: 'true', dryRun: 'All' },
      },
    ]);
    expect(server.asked[3].headers['content-type']).toBe('application/apply-patch+yaml');
    expect(server.asked.every(({ headers }) => headers.authorization === 'Bearer first')).toBe(true);
    expect(server.connections).toBe(1);
  });

  it('gives the items of a list the kind that servers leave out, page by page', async () => {
    const { api, server } = await start(({ query }, response) => {
      const page = query.continue === 'more' ? ['b'] : ['a'];
      const items = page.map((name) => ({ metadata: { name, resourceVersion: '1' } }));
      json(response, { metadata: { resourceVersion: '9', continue: query.continue ? '' : 'more' }, items });
    });
    const first = await api.list(pods, { limit: 1, labelSelector: 'app=web' });
    expect(first).toMatchObject({ items: [{ ...pods, metadata: { name: 'a' } }], continueFrom: 'more' });
    const second = await api.list(pods, { limit: 1, continueFrom: first.continueFrom });
    expect(second).toMatchObject({ items: [{ metadata: { name: 'b' } }], resourceVersion: '9' });
    expect(second.continueFrom).toBeUndefined();
    expect(server.asked[1]).toMatchObject({ path: '/api/v1/pods', query: { limit: '1', labelSelector: 'app=web' } });
  });

  it('tells what the server said where it refuses', async () => {
    const { api } = await start((_, response) =>
      json(response, { kind: 'Status', reason: 'Conflict', message: 'it was modified' }, 409, { 'retry-after': '3' }),
    );
    await expect(api.replace(pod('web'))).rejects.toMatchObject({
      name: 'ApiError',
      status: 409,
      reason: 'Conflict',
      retryAfter: 3000,
      message: 'PUT /api/v1/namespaces/shop/pods/web: 409 Conflict: it was modified',
    });
  });

  it('survives an answer that is no Status, from a proxy before the server', async () => {
    const { api } = await start((_, response) => response.writeHead(502).end('<html>bad gateway</html>'));
    await expect(api.list(pods)).rejects.toMatchObject({ status: 502, message: expect.stringContaining('<html>bad') });
  });

  it('takes an object that is not there for none, and its removal for done', async () => {
    const { api } = await start((_, response) => json(response, { reason: 'NotFound' }, 404));
    expect(await api.read({ ...pods, name: 'gone' })).toBeUndefined();
    await api.remove({ ...pods, name: 'gone' });
  });

  it('asks again for a kind that was not there, as its definition may come later', async () => {
    let kinds: unknown[] = [];
    const server = await HttpsServer.start(({ path }, response) => {
      if (path.endsWith('/v1')) json(response, { resources: kinds });
      else json(response, { metadata: { resourceVersion: '1' }, items: null });
    });
    closing.push(() => server[Symbol.asyncDispose]());
    const credentials = podCredentials(server.url, server.directory.path, systemClock);
    const api = connectKubernetesApi(async () => credentials, systemClock);
    closing.push(() => api.close());
    const routes = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' };
    await expect(api.list(routes)).rejects.toMatchObject({ status: 404 });
    kinds = [{ name: 'httproutes', kind: 'HTTPRoute', namespaced: true }];
    expect((await api.list(routes)).items).toStrictEqual([]);
  });

  it('gives up after 30 seconds', async () => {
    const { api, clock, server } = await start(() => {});
    const reading = api.read({ ...pods, name: 'slow' });
    await eventually(() => server.asked.length === 2);
    clock.advance(30_000);
    await expect(reading).rejects.toMatchObject({ status: 0, reason: 'Timeout' });
  });

  it('says so where no server is', async () => {
    const { api, server } = await start(() => {});
    server.stop();
    await expect(api.version()).rejects.toMatchObject({ status: 0, message: expect.stringContaining('ECONNREFUSED') });
  });

  it('uses no kept connection that the server closed', async () => {
    const { api, server } = await start((_, response) => json(response, pod('web')));
    await api.read({ ...pods, name: 'web' });
    for (const socket of server.sockets) socket.destroy();
    expect(await api.read({ ...pods, name: 'web' })).toBeDefined();
  });

  it('reads its token again after a minute', async () => {
    const { api, server, clock } = await start((_, response) => json(response, pod('web')));
    await api.read({ ...pods, name: 'web' });
    server.setToken('second');
    await api.read({ ...pods, name: 'web' });
    expect(server.asked.at(-1)?.headers.authorization).toBe('Bearer first');
    clock.advance(60_000);
    await api.read({ ...pods, name: 'web' });
    expect(server.asked.at(-1)?.headers.authorization).toBe('Bearer second');
  });

  it('does not believe a server of another authority', async () => {
    const { api, server } = await start((_, response) => json(response, pod('web')));
    const other = await HttpsServer.start(() => {});
    closing.push(() => other[Symbol.asyncDispose]());
    writeFileSync(join(server.directory.path, 'ca.crt'), other.ca);
    await expect(api.version()).rejects.toMatchObject({ status: 0, message: expect.stringContaining('self-signed') });
    expect(server.asked).toStrictEqual([]);
  });

  it('lets no name lead out of its path', async () => {
    const { api, server } = await start((_, response) => json(response, pod('web')));
    for (const name of ['..', 'a/../../secrets', 'a?b', 'a%2fb', '']) {
      await expect(api.read({ ...pods, name })).rejects.toThrow('cannot be a name');
    }
    expect(server.asked.map(({ path }) => path)).toStrictEqual(['/api/v1']);
  });

  it('tells what a review of a token says', async () => {
    const { api, server } = await start((_, response) => {
      const user = {
        username: 'system:serviceaccount:shop:web',
        extra: { 'authentication.kubernetes.io/pod-name': ['w'] },
      };
      json(response, { status: { authenticated: true, user, audiences: ['meshwright.dev'] } }, 201);
    });
    expect(await api.reviewToken('secret', ['meshwright.dev'])).toStrictEqual({
      authenticated: true,
      username: 'system:serviceaccount:shop:web',
      audiences: ['meshwright.dev'],
      extra: { 'authentication.kubernetes.io/pod-name': ['w'] },
      error: undefined,
    });
    expect(server.asked[0].body).toMatchObject({ spec: { token: 'secret', audiences: ['meshwright.dev'] } });
  });
});

describe('a watch', () => {
  it('tells of events however they are cut into pieces, until the server ends it', async () => {
    const { watch, events, send, finish, server } = await startWatch();
    const [text, rest] = [line('ADDED', pod('wé')), line('MODIFIED', pod('b'))];
    const bytes = Buffer.from(text);
    const inside = bytes.indexOf(0xc3) + 1;
    send(bytes.subarray(0, inside));
    await new Promise((resolve) => setImmediate(resolve));
    send(bytes.subarray(inside));
    send(`\n${rest}${line('UNHEARD', pod('c'))}`);
    send(line('BOOKMARK', { ...pods, metadata: { resourceVersion: '12' } }));
    finish();
    await watch;
    expect(events).toStrictEqual(['ADDED wé', 'MODIFIED b', 'BOOKMARK 12']);
    expect(server.asked.at(-1)).toMatchObject({
      path: '/api/v1/pods',
      query: { watch: '1', allowWatchBookmarks: 'true', resourceVersion: '7', timeoutSeconds: '300' },
    });
  });

  it('ends when it is told to', async () => {
    const { watch, stop, server } = await startWatch();
    stop();
    await watch;
    await eventually(() => server.sockets.size <= 1);
  });

  it('fails where nothing came for too long, and a bookmark is something', async () => {
    const { watch, events, send, clock } = await startWatch();
    clock.advance(59_000);
    send(line('BOOKMARK', { ...pods, metadata: { resourceVersion: '12' } }));
    await eventually(() => events.length === 1);
    clock.advance(59_000);
    expect(await Promise.race([watch, Promise.resolve('still there')])).toBe('still there');
    clock.advance(1_000);
    await expect(watch).rejects.toMatchObject({ status: 0, reason: 'Timeout' });
  });

  it('rejects with 410 where the server says in the stream that it is too late', async () => {
    const { watch, send } = await startWatch();
    send(line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }));
    await expect(watch).rejects.toMatchObject({ status: 410, reason: 'Expired' });
  });

  it('rejects where the connection breaks, and where an event is nonsense', async () => {
    const broken = await startWatch();
    for (const socket of broken.server.sockets) socket.destroy();
    await expect(broken.watch).rejects.toMatchObject({ status: 0, reason: 'Unreachable' });
    const nonsense = await startWatch();
    nonsense.send('{"type":"ADDED"}\n');
    await expect(nonsense.watch).rejects.toMatchObject({ status: 0 });
  });

  it('takes no event without end', async () => {
    const { watch, send } = await startWatch();
    send(Buffer.alloc(17 << 20, 0x20));
    await expect(watch).rejects.toThrow('an event has more than');
  });
});

describe('a kubeconfig', () => {
  const kubeconfig = (server: HttpsServer) => {
    const path = join(server.directory.path, 'config');
    const cluster = { server: server.url, 'certificate-authority-data': Buffer.from(server.ca).toString('base64') };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'here', cluster }],
      users: [{ name: 'me', user: { token: 'mine' } }],
      contexts: [
        { name: 'test', context: { cluster: 'here', user: 'me' } },
        { name: 'empty', context: { cluster: 'nowhere', user: 'me' } },
      ],
      'current-context': 'test',
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  };
  const open = (options: Parameters<typeof openKubernetesApi>[0]): KubernetesApi => {
    const api = openKubernetesApi(options);
    closing.push(() => api.close());
    return api;
  };

  it('says where the server is and who asks', async () => {
    const { server } = await start((_, response) => json(response, { gitVersion: 'v1.36.3' }));
    expect(await open({ kubeconfig: kubeconfig(server) }).version()).toBe('v1.36.3');
    expect(server.asked[0]).toMatchObject({ path: '/version', headers: { authorization: 'Bearer mine' } });
  });

  it('may lack what is asked of it, which is said', async () => {
    const { server } = await start((_, response) => json(response, {}));
    const path = kubeconfig(server);
    await expect(open({ kubeconfig: path, context: 'prod' }).version()).rejects.toThrow(
      'the kubeconfig has no context prod, only test, empty',
    );
    await expect(open({ kubeconfig: path, context: 'empty' }).version()).rejects.toThrow('has no cluster');
    await expect(open({ kubeconfig: join(server.directory.path, 'none') }).version()).rejects.toThrow('ENOENT');
  });
});
