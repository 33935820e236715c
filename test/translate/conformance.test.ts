import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments, stringify } from 'yaml';
import { applyHeaderChange, createSnapshot, type Decision, decide } from '../../runtime/engine/index.ts';
import { type KubernetesObject, parseObject } from '../../runtime/resources/index.ts';
import { standIns, translate } from '../../runtime/translate/index.ts';

/*
 * The manifests of the mesh profiles of the Gateway API conformance suite: what they translate to, and what is decided
 * about the requests that the suite sends. With UPDATE=1 the outputs are written anew.
 */

const directory = join(import.meta.dirname, 'conformance');
const update = process.env.UPDATE === '1';
const namespace = 'gateway-conformance-mesh';

function read(file: string): KubernetesObject[] {
  return parseAllDocuments(readFileSync(join(directory, file), 'utf8')).map((document) => {
    const { object, findings } = parseObject(document.toJS(), file);
    if (!object) throw new Error(`${file}: ${JSON.stringify(findings)}`);
    return object;
  });
}

/** The mesh as a cluster tells it, with the routes of one test. */
function translated(name: string) {
  const objects = [...read('mesh.yaml'), ...(name === '' ? [] : read(`${name}.in.yaml`))];
  return translate([...objects, ...standIns(objects)].filter(({ kind }) => kind !== 'Deployment'));
}

const names = globSync('*.in.yaml', { cwd: directory })
  .map((file) => basename(file, '.in.yaml'))
  .sort();

describe('translate, for the conformance suite', () => {
  it.each(names)('gives what is written down for %s', (name) => {
    const { resources, findings, statuses } = translated(name);
    const services = resources.flatMap((one) => (one.kind === 'service' ? [{ name: one.name, ports: one.ports }] : []));
    const workloads = resources.flatMap((one) =>
      one.kind === 'workload' ? [{ name: one.name, ports: one.ports }] : [],
    );
    const output = stringify(
      { services, workloads, findings, statuses },
      { aliasDuplicateObjects: false, lineWidth: 0 },
    );
    const file = join(directory, `${name}.out.yaml`);
    if (update) writeFileSync(file, output);
    expect(output).toBe(readFileSync(file, 'utf8'));
  });
});

interface Sent {
  /** The conformance suite calls `echo` where it says nothing. */
  readonly to?: string;
  readonly from?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function send(name: string, path: string, { to = 'echo', from = namespace, headers }: Sent = {}): Decision {
  return decide(createSnapshot(translated(name).resources), { from: `${from}/echo-v1`, to, path, headers });
}

/** The workloads that answer, with their shares. */
function answering({ targets }: Decision): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const { workload = '', allowed, mtls, probability } of targets.flatMap(({ receivers }) => receivers)) {
    if (!allowed || !mtls) continue;
    const short = workload.slice(workload.indexOf('/') + 1);
    shares[short] = (shares[short] ?? 0) + probability;
  }
  return shares;
}

function responseHeaders({ targets }: Decision): string[] {
  return targets.flatMap((target) =>
    target.responseHeaders.reduce((list: string[], change) => applyHeaderChange(list, change), []),
  );
}

describe('a request of the conformance suite', () => {
  it.each([
    ['/', {}, 1],
    ['/example', {}, 1],
    ['/', { version: 'one' }, 1],
    ['/v2', {}, 2],
    ['/v2/example', {}, 2],
    ['/', { version: 'two' }, 2],
    ['/v2/', {}, 2],
    ['/v2example', {}, 1],
    ['/foo/v2/example', {}, 1],
  ])('of MeshHTTPRouteMatching to %s with %j reaches echo-v%i', (path, headers, version) => {
    expect(answering(send('httproute-matching', path, { headers }))).toStrictEqual({ [`echo-v${version}`]: 1 });
  });

  it.each([
    ['/?animal=whale', {}, 1],
    ['/?animal=dolphin', {}, 2],
    ['/?animal=whale&otherparam=irrelevant', {}, 1],
    ['/?animal=dolphin&color=yellow', {}, 2],
    ['/path1?animal=whale', {}, 1],
    ['/?animal=whale', { version: 'one' }, 2],
    ['/path3?animal=shark', {}, 1],
    ['/path4?animal=kraken', { version: 'three' }, 1],
    ['/path5?animal=hydra', {}, 1],
  ])('of MeshHTTPRouteQueryParamMatching to %s with %j reaches echo-v%i', (path, headers, version) => {
    const decision = send('httproute-query-param-matching', path, { headers });
    expect(answering(decision)).toStrictEqual({ [`echo-v${version}`]: 1 });
  });

  it.each(['/?color=blue', '/?animal=dog', '/?animal=whaledolphin', '/', '/?animal=shark', '/path4?animal=kraken'])(
    'of MeshHTTPRouteQueryParamMatching to %s is answered 404',
    (path) => {
      expect(send('httproute-query-param-matching', path)).toMatchObject({ outcome: 'refuse', status: 404 });
    },
  );

  it.each([
    ['httproute-303-redirect', '/redirect', 303, 'http://echo/redirect'],
    ['httproute-307-redirect', '/temporary', 307, 'http://echo/temporary'],
    ['httproute-308-redirect', '/permanent', 308, 'http://echo/permanent'],
    ['httproute-redirect-host-and-status', '/hostname-redirect', 302, 'http://example.org/hostname-redirect'],
    ['httproute-redirect-host-and-status', '/host-and-status', 301, 'http://example.org/host-and-status'],
    ['httproute-redirect-path', '/original-prefix/lemon', 302, 'http://echo/replacement-prefix/lemon'],
    ['httproute-redirect-path', '/full/path/original', 302, 'http://echo/full-path-replacement'],
    ['httproute-redirect-path', '/path-and-host', 302, 'http://example.org/replacement-prefix'],
    ['httproute-redirect-path', '/path-and-status', 301, 'http://echo/replacement-prefix'],
    ['httproute-redirect-path', '/full-path-and-host', 302, 'http://example.org/replacement-full'],
    ['httproute-redirect-path', '/full-path-and-status', 301, 'http://echo/replacement-full'],
    ['httproute-redirect-port', '/port', 302, 'http://echo:8083/port'],
    ['httproute-redirect-port', '/port-and-host', 302, 'http://example.org:8083/port-and-host'],
    ['httproute-redirect-port', '/port-and-status', 301, 'http://echo:8083/port-and-status'],
    ['httproute-redirect-port', '/port-and-host-and-status', 302, 'http://example.org:8083/port-and-host-and-status'],
    ['httproute-redirect-scheme', '/scheme', 302, 'https://echo/scheme'],
    ['httproute-redirect-scheme', '/scheme-and-host', 302, 'https://example.org/scheme-and-host'],
    ['httproute-redirect-scheme', '/scheme-and-status', 301, 'https://echo/scheme-and-status'],
    ['httproute-redirect-scheme', '/scheme-and-host-and-status', 302, 'https://example.org/scheme-and-host-and-status'],
  ])('of %s to %s is redirected with %i to %s', (name, path, status, location) => {
    expect(send(name, path)).toMatchObject({ outcome: 'redirect', status, location });
  });

  it.each([
    ['/prefix/one/two', '/one/two'],
    ['/strip-prefix/three', '/three'],
    ['/strip-prefix', '/'],
    ['/full/one/two', '/one'],
    ['/full/rewrite-path-and-modify-headers/test', '/test'],
    ['/prefix/rewrite-path-and-modify-headers/one', '/prefix/one'],
  ])('of MeshHTTPRouteRewritePath to %s arrives as %s', (path, arrives) => {
    const headers = { 'x-header-remove': 'a', 'x-header-add-append': 'append-val-1', 'x-header-set': 'b' };
    const decision = send('httproute-rewrite-path', path, { headers });
    const [{ request }] = decision.targets;
    expect(answering(decision)).toStrictEqual({ 'echo-v1': 1 });
    expect(request?.path).toBe(arrives);
    if (path.includes('modify')) {
      expect(request?.headers).toStrictEqual([
        ...['x-header-add-append', 'append-val-1', 'x-header-set', 'set-overwrites-values'],
        ...['x-header-add', 'header-val-1', 'x-header-add-append', 'header-val-2'],
      ]);
    }
  });

  it.each(['httproute-request-header-modifier', 'httproute-request-header-modifier-backend'])(
    'of %s has its headers changed, whatever the case of their names',
    (name) => {
      const arriving = (path: string, headers: Record<string, string>) =>
        send(name, path, { headers }).targets.flatMap(({ request }) => request?.headers ?? []);
      expect(arriving('/set', { 'X-Header-Set': 'other' })).toStrictEqual(['x-header-set', 'set-overwrites-values']);
      expect(arriving('/add', { 'X-Header-Add': 'other' })).toStrictEqual([
        ...['x-header-add', 'other', 'x-header-add', 'add-appends-values'],
      ]);
      expect(arriving('/remove', { 'X-Header-Remove': 'val' })).toStrictEqual([]);
      expect(arriving('/case-insensitivity', { 'x-header-set': 'a', 'x-header-remove': 'c' })).toStrictEqual([
        ...['x-header-set', 'header-set', 'x-header-add', 'header-add'],
      ]);
    },
  );

  it.each([
    ['httproute-weight', '/', 'echo'],
    ['grpcroute-weight', '/proto.EchoTestService/Echo', 'echo:7070'],
  ])('of %s goes to 70 and 30 percent', (name, path, to) => {
    const decision = decide(createSnapshot(translated(name).resources), {
      from: `${namespace}/echo-v1`,
      method: 'POST',
      to,
      path,
    });
    expect(answering(decision)).toStrictEqual({ 'echo-v1': 0.7, 'echo-v2': 0.3 });
  });

  it('of MeshConsumerRoute meets the route of its own namespace only', () => {
    const to = 'echo-v1.gateway-conformance-mesh';
    const consumer = send('mesh-consumer-route', '/', { to, from: 'gateway-conformance-mesh-consumer' });
    const producer = send('mesh-consumer-route', '/', { to });
    expect([responseHeaders(consumer), answering(consumer)]).toStrictEqual([['x-header-set', 'set'], { 'echo-v1': 1 }]);
    expect([responseHeaders(producer), answering(producer)]).toStrictEqual([[], { 'echo-v1': 1 }]);
  });

  it.each([
    ['mesh-frontend', 'echo-v2', ['x-header-set', 'set']],
    ['mesh-frontend', 'echo-v1', []],
    ['mesh-ports', 'echo-v1', ['x-header-set', 'v1']],
    ['mesh-ports', 'echo-v1:8080', []],
    ['mesh-ports', 'echo-v2', ['x-header-set', 'v2']],
    ['mesh-ports', 'echo-v2:8080', ['x-header-set', 'v2']],
  ])('of %s to %s gets the headers %j', (name, to, headers) => {
    const decision = send(name, '/', { to });
    expect(responseHeaders(decision)).toStrictEqual(headers);
    expect(answering(decision)).toStrictEqual({ [to.replace(':8080', '')]: 1 });
  });

  it.each([
    ['', '/', { 'echo-v1': 0.5, 'echo-v2': 0.5 }],
    ['httproute-simple-same-namespace', '/', { 'echo-v1': 1 }],
    ['httproute-named-rule', '/named', { 'echo-v1': 1 }],
    ['httproute-named-rule', '/unnamed', { 'echo-v2': 1 }],
    ['mesh-split', '/v1', { 'echo-v1': 1 }],
    ['mesh-split', '/v2', { 'echo-v2': 1 }],
  ])('of %s to %s reaches %j', (name, path, shares) => {
    expect(answering(send(name, path))).toStrictEqual(shares);
  });
});
