import { createRequire } from 'node:module';
import type * as kubernetesSdk from '@pulumi/kubernetes';
import type * as pulumiSdk from '@pulumi/pulumi';

/*
 * The one place that loads Pulumi's SDK. It is an optional peer: who only synthesises YAML need not install it, and
 * who needs it is told so in plain words.
 */

const requireFromHere = createRequire(import.meta.url);

function load(name: string): unknown {
  try {
    return requireFromHere(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error(
      `meshwright/pulumi needs ${name}, which cannot be loaded; install it: npm install @pulumi/pulumi @pulumi/kubernetes`,
      { cause: error },
    );
  }
}

export const pulumi = load('@pulumi/pulumi') as typeof pulumiSdk;
export const kubernetes = load('@pulumi/kubernetes') as typeof kubernetesSdk;
