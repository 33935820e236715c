import * as pulumi from '@pulumi/pulumi';
import { Monitor, type MonitorOptions } from './monitor.ts';

/** Runs a program with the SDK in this process, against a monitor that sees whole registrations. */
export async function runInProcess(program: () => unknown, options?: MonitorOptions): Promise<Monitor> {
  const monitor = new Monitor(options);
  pulumi.runtime.setMockOptions(monitor, monitor.project, monitor.stack, monitor.preview);
  await pulumi.runtime.runInPulumiStack(async () => program());
  await pulumi.runtime.disconnect();
  return monitor;
}
