import { TokenError, type WorkloadClaims } from '../../identity/authority.ts';
import type { KubernetesApi } from '../../kubernetes/index.ts';

/** For whom workload tokens are meant. */
const audience = 'meshwright.dev';
const podName = 'authentication.kubernetes.io/pod-name';
/** Reviews asked for at once; the others wait. */
const concurrency = 16;
const maxWaiting = 1_000;

/**
 * Asks the API server whose a token is: it knows which pods and service accounts still are. Nothing is remembered, as
 * a token may be worth nothing a moment later. Rejects with a `TokenError` where it proves nothing, and with another
 * error where nobody could be asked.
 */
export function createTokenReview(api: Pick<KubernetesApi, 'reviewToken'>): (token: string) => Promise<WorkloadClaims> {
  const gate = new Gate();
  return async (token) => {
    const review = await gate.pass(() => api.reviewToken(token, [audience]));
    if (!review.authenticated) throw new TokenError(`the token is not accepted: ${review.error ?? 'nobody issued it'}`);
    // Servers that know nothing of audiences answer without.
    if (!review.audiences?.includes(audience)) throw new TokenError(`the token is not meant for ${audience}`);
    const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(review.username ?? '');
    if (!account) throw new TokenError(`${review.username} is no service account`);
    const [pod, ...more] = review.extra?.[podName] ?? [];
    if (!pod || more.length > 0) throw new TokenError('the token is not bound to a pod');
    return { namespace: account[1], serviceAccount: account[2], pod };
  };
}

/** Lets a few through at a time. */
class Gate {
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside >= concurrency) {
      if (this.#waiting.length >= maxWaiting) throw new Error('too many tokens are to be reviewed at once');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#inside++;
    try {
      return await work();
    } finally {
      // Who waits takes the place over.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#inside--;
    }
  }
}
