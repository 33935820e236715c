/*
 * Prints what installs Meshwright, for `meshwright install`: its options come as JSON in the first argument.
 */
import { App } from 'cdk8s';
import * as z from 'zod';
import { Crds } from '../crds/crds.ts';
import { ControlPlane } from './control-plane.ts';

const text = z.string().min(1);
const options = z.strictObject({
  image: text.optional(),
  sidecarImage: text.optional(),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  replicas: z.int().min(1).optional(),
  trustDomain: text.optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
  /** Without: nothing but the definitions. */
  controlPlane: z.boolean(),
  crds: z.boolean(),
});

const { controlPlane, ...props } = options.parse(JSON.parse(process.argv[2] ?? ''));
const app = new App();
if (controlPlane) new ControlPlane(app, 'control-plane', props);
else new Crds(app, 'crds');
process.stdout.write(`${app.synthYaml().trimEnd()}\n`);
