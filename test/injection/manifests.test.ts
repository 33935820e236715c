import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { defaultSettings, injectedKinds, injectManifests } from '../../runtime/injection/index.ts';

/*
 * Each manifests/<name>.in.txt becomes manifests/<name>.out.txt (YAML that no formatter may touch). With UPDATE=1 the outputs are written anew; read the
 * diff before committing it.
 */

const directory = join(import.meta.dirname, 'manifests');
const update = process.env.UPDATE === '1';
const names = globSync('*.in.txt', { cwd: directory })
  .map((file) => basename(file, '.in.txt'))
  .sort();
const read = (name: string) => readFileSync(join(directory, `${name}.in.txt`), 'utf8');
const inject = (text: string) => injectManifests(text, 'shop.yaml', defaultSettings);

describe('injection into manifests', () => {
  it.each(names)('writes what is written down for %s', (name) => {
    const { text, findings } = inject(read(name));
    expect(findings).toEqual([]);
    const file = join(directory, `${name}.out.txt`);
    if (update) writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });

  it.each(names)('changes nothing the second time in %s', (name) => {
    const { text } = inject(read(name));
    expect(inject(text).text).toBe(text);
  });

  it('keeps every comment of what people write', () => {
    const comments = (text: string) => text.match(/(?<=^|\s)# .*/gm)?.map((comment) => comment.trim());
    const original = read('by-hand');
    expect(comments(original)).toHaveLength(8);
    expect(comments(inject(original).text)).toEqual(comments(original));
  });

  it('gives objects that share by an alias a proxy each', () => {
    const { items } = parse(inject(read('list')).text);
    const workloads = items
      .slice(1)
      .map((item: never) => JSON.stringify(item).match(/\$\(POD_NAMESPACE\)\/[a-z-]+/)?.[0]);
    expect(workloads).toEqual(['$(POD_NAMESPACE)/store', '$(POD_NAMESPACE)/store-agent']);
  });

  it('leaves alone what shares by an alias with an object that gets a proxy', () => {
    const pod = (name: string, labels: string, volumes: string) =>
      `- {apiVersion: v1, kind: Pod, metadata: {name: ${name}, labels: {${labels}}}, spec: {containers: [{name: app}], volumes: ${volumes}}}\n`;
    const items = pod('in', '', '&v [{name: data}]') + pod('out', 'meshwright.dev/inject: disabled', '*v');
    const { text } = inject(`apiVersion: v1\nkind: List\nitems:\n${items}`);
    const [meshed, outside] = parse(text).items;
    expect(meshed.spec.volumes).toHaveLength(3);
    expect(outside.spec.volumes).toEqual([{ name: 'data' }]);
  });

  it('takes times and dates for text, as kubectl does', () => {
    const annotations = '{since: 2001-01-01, at: 12:30:00}';
    const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: ${annotations}}\nspec: {containers: []}\n`;
    const { objects } = inject(text);
    expect(objects).toMatchObject([{ injection: { kind: 'injected' } }]);
  });

  it.each(injectedKinds)('knows where the pods of a %s are', (kind) => {
    const pod = { spec: { containers: [{ name: 'app' }] } };
    const [apiVersion, spec] = (
      {
        Pod: ['v1', pod.spec],
        ReplicationController: ['v1', { template: pod }],
        Job: ['batch/v1', { template: pod }],
        CronJob: ['batch/v1', { jobTemplate: { spec: { template: pod } } }],
      } as Record<string, [string, unknown]>
    )[kind] ?? ['apps/v1', { template: pod }];
    const { text, objects } = inject(stringify({ apiVersion, kind, metadata: { name: 'x', namespace: 'shop' }, spec }));
    expect(objects).toMatchObject([{ place: `${kind} shop/x`, injection: { kind: 'injected' } }]);
    expect(text).toContain('meshwright-redirect');
    expect(text).toContain('meshwright.dev/workload: x');
  });

  it('leaves an object alone that only has the name of a kind', () => {
    const text = stringify({ apiVersion: 'example.com/v1', kind: 'Deployment', spec: { template: {} } });
    expect(inject(text)).toEqual({ text, objects: [], findings: [] });
  });

  it('names file and line of what is no YAML', () => {
    const { findings } = inject('kind: a\n---\nkind: b\n---\nfine: 1\nbad: [\n');
    expect(findings).toMatchObject([{ id: 'MW1001', object: 'shop.yaml:7' }]);
    const bomb = `a: &a [x]\nb: &b [${'*a, '.repeat(60)}]\nc: [${'*b, '.repeat(60)}]\n`;
    expect(inject(bomb).findings).toMatchObject([{ id: 'MW1001', message: expect.stringMatching(/alias/) }]);
  });

  it('does not touch a byte of documents without pods', () => {
    const value = fc.object({ maxDepth: 3, values: [fc.string(), fc.integer(), fc.boolean(), fc.constant(null)] });
    const style = fc.record({ lineWidth: fc.constantFrom(0, 20, 80), indentSeq: fc.boolean() });
    const text = fc
      .array(fc.tuple(value, style).map(([object, options]) => stringify({ kind: 'Other', ...object }, options)))
      .map((documents) => documents.join('---\n# and\n'))
      // Nothing but a map can be merged into a map.
      .filter((documents) => !documents.includes('<<:'));
    fc.assert(
      fc.property(text, (original) => {
        expect(inject(original)).toEqual({ text: original, objects: [], findings: [] });
      }),
    );
  });

  it('says the same as before about everything else of an object with pods', () => {
    const others = fc
      .dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 })
      // JSON has no negative zero.
      .map((value) => JSON.parse(JSON.stringify(value)));
    const strings = fc.array(
      fc.oneof(fc.string(), fc.constantFrom('yes', '012', '1e3', '12:30', '~', '2001-01-01', '')),
    );
    fc.assert(
      fc.property(others, strings, (other, args) => {
        const container = { name: 'app', args, ofTheFuture: other };
        const before = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'p' },
          spec: { containers: [container], ofTheFuture: other },
        };
        const [document] = parseAllDocuments(inject(stringify(before, { version: '1.1' })).text, { version: '1.1' });
        const { spec } = document.toJS();
        expect(spec.containers).toEqual([container]);
        expect(spec.ofTheFuture).toEqual(other);
        expect(spec.initContainers).toHaveLength(2);
      }),
    );
  });
});
