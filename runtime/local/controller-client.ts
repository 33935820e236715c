import type { EdgeStats, PolicyStats, ProxyView, ServiceStats, ServiceView } from '../controller/index.ts';
import { type Finding, FindingsError, finding } from '../model/index.ts';

/** What the controller's API answers, by path below `/api/v1/`. */
interface Answers {
  readonly proxies: readonly ProxyView[];
  readonly services: readonly ServiceView[];
  readonly stats: readonly ServiceStats[];
  readonly edges: readonly EdgeStats[];
  readonly policies: PolicyStats;
  readonly findings: readonly Finding[];
}

/** Asks the API of a controller. Throws a {@link FindingsError} where it does not answer. */
export async function askController<Path extends keyof Answers>(api: string, path: Path): Promise<Answers[Path]> {
  try {
    const response = await fetch(`${api}/api/v1/${path}`, { signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return (await response.json()) as Answers[Path];
  } catch (error) {
    const { message, cause } = error as Error;
    throw new FindingsError([
      finding('MW1802', {
        message: `the controller at ${api} does not answer: ${cause instanceof Error ? cause.message : message}`,
        hint: 'is the mesh still running? start it with: meshwright up',
      }),
    ]);
  }
}
