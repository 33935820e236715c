import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { App, Mesh, Service } from 'meshwright';
import { http } from './given.ts';

const directories: string[] = [];

function temporaryDirectory(parent = tmpdir()): string {
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, 'meshwright-synth-'));
  directories.push(directory);
  return directory;
}

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

/** Runs a program as `cdk8s synth` does: Node, and where to write in the environment. */
function run(program: string, outdir: string) {
  const env = { ...process.env, CDK8S_OUTDIR: outdir, NODE_OPTIONS: '' };
  const { status, stderr } = spawnSync(process.execPath, [program], { env, encoding: 'utf8' });
  return { status, stderr };
}

/** A program inside of the package, so that it imports what users import. */
function programOf(body: string): string {
  const file = join(temporaryDirectory('.meshwright'), 'main.ts');
  writeFileSync(
    file,
    `import { App, Mesh, Path, Port, Route, Service, synth } from 'meshwright';
     const app = new App();
     const mesh = new Mesh(app, 'shop', { trustDomain: 'shop.local' });
     ${body}
     synth(app);`,
  );
  return file;
}

describe('synth', () => {
  test('writes one file for a mesh, the same bytes by every process', () => {
    const [one, two] = [temporaryDirectory(), temporaryDirectory()];
    expect(run('examples/shop/main.ts', one)).toEqual({ status: 0, stderr: '' });
    expect(run('examples/shop/main.ts', two)).toEqual({ status: 0, stderr: '' });
    expect(readdirSync(one)).toEqual(['shop.k8s.yaml']);
    expect(readFileSync(join(two, 'shop.k8s.yaml'))).toEqual(readFileSync(join(one, 'shop.k8s.yaml')));
  });

  test('prints every finding, exits with 3 and writes nothing where there are errors', () => {
    const outdir = temporaryDirectory();
    const program = programOf(`
      const reviews = new Service(mesh, 'reviews', { ports: { http: Port.http(0) } });
      new Route(reviews, 'canary', { parent: reviews, rules: [] });`);

    const { status, stderr } = run(program, outdir);

    expect(status).toBe(3);
    expect(stderr.split('\n').filter((line) => line.startsWith('error'))).toEqual([
      'error MW1135 shop/reviews: port http is 0; allowed are whole numbers from 1 to 65535',
      'error MW1138 shop/reviews/Workload: no image is stated for reviews',
      'error MW1231 shop/reviews/canary: it has no rules',
    ]);
    expect(readdirSync(outdir)).toEqual([]);
  });

  test('prints warnings and writes', () => {
    const outdir = temporaryDirectory();
    const program = programOf(`
      const reviews = new Service(mesh, 'reviews', { ports: { http: Port.http(80) }, workload: { image: 'a' } });
      new Route(reviews, 'api', { parent: reviews, rules: [{ match: [Path.prefix('/api')], to: reviews }] });`);

    const { status, stderr } = run(program, outdir);

    expect(status).toBe(0);
    expect(stderr).toMatch(/^warning MW1240 shop\/reviews\/api: no rule on Service shop\/reviews:80 /);
    expect(readdirSync(outdir)).toEqual(['shop.k8s.yaml']);
  });

  test('cannot be got around with what cdk8s itself offers', () => {
    const outdir = temporaryDirectory();
    const app = new App({ outdir });
    new Service(new Mesh(app, 'shop', { trustDomain: 'shop.local' }), 'reviews', { ports: http });
    expect(() => app.synth()).toThrow('error MW1138 shop/reviews/Workload: no image is stated for reviews');
    expect(readdirSync(outdir)).toEqual([]);
  });
});

test('ten times the services take about ten times the work, far from a hundred', () => {
  /** Seconds of CPU, as the machine may be busy with other things. */
  function workFor(count: number): number {
    const before = process.cpuUsage();
    const app = new App();
    const mesh = new Mesh(app, 'shop', { trustDomain: 'shop.local' });
    const services = Array.from(
      { length: count },
      (_, index) => new Service(mesh, `service-${index}`, { ports: http, workload: { image: 'a' } }),
    );
    for (const [index, service] of services.entries()) service.calls(services[(index + 1) % count]);
    app.synthYaml();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  }
  workFor(100);
  expect(workFor(1000)).toBeLessThan(40 * workFor(100));
});
