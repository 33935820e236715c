import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { App } from 'cdk8s';
import { Construct } from 'constructs';
import { PulumiApp } from 'meshwright/pulumi';
import { runInProcess } from './in-process.ts';
import { parseObjects, registeredObjects } from './objects.ts';

test.each(globSync('examples/*/main.ts'))(
  '%s is the same for Pulumi as for cdk8s, field by field, but for what Pulumi waits for',
  async (file) => {
    const exported: Record<string, unknown> = await import(resolve(file));
    const app = App.of(Object.values(exported).find((value) => Construct.isConstruct(value))!);
    const monitor = await runInProcess(() => new PulumiApp('east', app));
    const written = parseObjects(app.synthYaml());
    expect(written.length).toBeGreaterThan(0);
    expect(registeredObjects(monitor)).toEqual(written);
  },
);
