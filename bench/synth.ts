import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiObject } from 'cdk8s';
import { Access, AccessPolicy, App, Caller, Duration, Header, Mesh, Route, synth } from 'meshwright';
import { addServices } from './services.ts';

/*
 * How long a mesh takes from `new App()` to written files. Each service has a Deployment, ServiceAccount and Service,
 * calls two others, and is the target of a route and an access policy.
 *
 *   node bench/synth.ts [-o json]
 */

interface Row {
  readonly figure: 'synth';
  readonly services: number;
  readonly objects: number;
  readonly milliseconds: number;
  readonly bytes: number;
}

function defineMesh(app: App, count: number): Mesh {
  const mesh = new Mesh(app, 'bench', { trustDomain: 'bench.local' });
  for (const service of addServices(mesh, count)) {
    new Route(service, 'route', {
      parent: service,
      rules: [
        { name: 'canary', match: [Header.is('x-canary', 'always')], to: service, timeout: Duration.seconds(1) },
        { name: 'rest', to: service, retry: { attempts: 2, codes: [503] } },
      ],
    });
    new AccessPolicy(service, 'access', {
      target: service,
      rules: [Access.allow({ from: [Caller.namespace('bench')] })],
    });
  }
  return mesh;
}

function measure(count: number): Row {
  const outdir = mkdtempSync(join(tmpdir(), 'meshwright-bench-'));
  try {
    const start = performance.now();
    const app = new App({ outdir });
    const mesh = defineMesh(app, count);
    synth(app);
    const milliseconds = Math.round(performance.now() - start);
    const bytes = readdirSync(outdir).reduce((sum, file) => sum + statSync(join(outdir, file)).size, 0);
    return {
      figure: 'synth',
      services: count,
      objects: mesh.node.findAll().filter(ApiObject.isApiObject).length,
      milliseconds,
      bytes,
    };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

measure(10); // loads and compiles what every synthesis needs
const rows = [100, 1000].map(measure);

if (process.argv.includes('json')) console.log(JSON.stringify({ rows }));
else console.table(rows);
