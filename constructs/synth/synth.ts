import type { App } from 'cdk8s';
import { formatFinding } from '../../runtime/model/index.ts';
import { validate } from './validate.ts';

/** Exit code of programs that found mistakes in their input. */
const findingsOfSeverityError = 3;

/**
 * Writes the manifests of an app, or says everything that is wrong with it.
 *
 * All findings go to standard error, one a paragraph. Where one of them is an error nothing is written and the
 * process exits with code 3. The directory is the one `cdk8s synth` chooses (`$CDK8S_OUTDIR`), else `dist`.
 */
export function synth(app: App): void {
  const findings = validate(app);
  for (const finding of findings) process.stderr.write(`${formatFinding(finding)}\n`);
  if (findings.some(({ severity }) => severity === 'error')) process.exitCode = findingsOfSeverityError;
  else app.synth();
}
