import { App, Mesh } from 'meshwright';
import { PulumiApp } from 'meshwright/pulumi';
import { runInProcess } from '../test/pulumi/in-process.ts';
import { addServices } from './services.ts';

/*
 * How long a Pulumi program takes to register a mesh, against a monitor in the same process that answers at once.
 * Each service has a Deployment, ServiceAccount and Service and calls two others: five resources with its components.
 *
 *   node bench/pulumi.ts [-o json]
 */

interface Row {
  readonly figure: string;
  readonly services: number;
  readonly resources: number;
  readonly milliseconds: number;
  readonly megabytes: number;
}

function deployMesh(count: number): void {
  const mesh = new Mesh(new App(), 'bench', { trustDomain: 'bench.local' });
  addServices(mesh, count);
  new PulumiApp('bench', mesh);
}

async function measure(services: number): Promise<Row> {
  const start = performance.now();
  const { registrations } = await runInProcess(() => deployMesh(services));
  return {
    figure: 'pulumi',
    services,
    resources: registrations.length,
    milliseconds: Math.round(performance.now() - start),
    megabytes: Math.round(process.memoryUsage.rss() / 1e6),
  };
}

await measure(10); // loads and compiles what every program needs
const rows = [await measure(100), await measure(1000)];

if (process.argv.includes('json')) console.log(JSON.stringify({ rows }));
else console.table(rows);
