import { describe, expect, it } from '@jest/globals';
import { App } from 'cdk8s';
import { parseAllDocuments } from 'yaml';
import { before } from '../../runtime/cli/check/index.ts';
import type { RawObject } from '../../runtime/kubernetes/index.ts';
import { ControlPlane } from '../../stacks/control-plane/control-plane.ts';
import { meshwright } from './cli.ts';

async function install(...args: string[]): Promise<RawObject[]> {
  const { code, stdout, stderr } = await meshwright(['install', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.endsWith('\n')).toBe(true);
  return parseAllDocuments(stdout).map((document) => document.toJS() as RawObject);
}

describe('install', () => {
  it('prints what the stack has', async () => {
    expect(await install()).toEqual(new ControlPlane(new App(), 'control-plane').toJson());
  });

  it('prints it as its options have it', async () => {
    const image = 'registry.example/meshwright:1';
    const objects = await install(
      ...['--image', image, '--sidecar-image', `${image}-sidecar`, '--image-pull-policy', 'Never'],
      ...['--replicas', '3', '--log-level', 'debug', '--no-crds', '--trust-domain', 'prod.example.org'],
    );
    const named = {
      image,
      sidecarImage: `${image}-sidecar`,
      trustDomain: 'prod.example.org',
      logLevel: 'debug',
    } as const;
    const props = { ...named, imagePullPolicy: 'Never', replicas: 3, crds: false } as const;
    expect(objects).toEqual(new ControlPlane(new App(), 'control-plane', props).toJson());
    expect(JSON.stringify(objects)).toContain('"--trust-domain","prod.example.org"');
  });

  it('prints the definitions alone', async () => {
    const objects = await install('--crds-only');
    expect(new Set(objects.map(({ kind }) => kind))).toEqual(new Set(['CustomResourceDefinition']));
    expect(objects.length).toBeGreaterThan(4);
  });

  it('prints nothing that check --pre has not asked the permission for', async () => {
    const asked = before
      .flatMap(({ checks }) => checks)
      .flatMap(({ description }) => /^you may apply (\w+)( in)?/.exec(description) ?? [])
      .filter((_, index) => index % 3 === 1);
    const kinds = new Set((await install()).map(({ kind }) => `${kind.toLowerCase()}s`.replace(/ys$/, 'ies')));
    expect([...kinds].sort()).toEqual(asked.sort());
  });

  it.each([
    [['--replicas', '0'], "'--replicas <number>' argument '0' is invalid. Allowed are whole numbers from 1."],
    [['--replicas', 'two'], "argument 'two' is invalid"],
    [['--log-level', 'loud'], 'Allowed choices are debug, info, warn, error.'],
    [['--trust-domain', 'Prod Domain'], 'Allowed are lower-case letters, digits, dots, dashes and underscores.'],
    [['--crds-only', '--no-crds'], "option '--crds-only' cannot be used with option '--no-crds'"],
  ])('prints nothing where it is called with %j', async (args, complaint) => {
    const { code, stdout, stderr } = await meshwright(['install', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(complaint);
  });

  it('helps with examples first', async () => {
    const { code, stdout } = await meshwright(['install', '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:\n {2}\$ meshwright install /);
  });
});
