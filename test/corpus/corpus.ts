import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** A request and what a mesh must do with it: one line of a corpus. */
export interface CorpusLine {
  /** A sentence. */
  readonly name: string;
  readonly request: {
    /** Name of the workload that sends it, for example `reviews-v1`; or else `gateway`. */
    readonly from?: string;
    /** Name of the gateway it enters by, at the port of its first listener. */
    readonly gateway?: string;
    /** `service:port`, with `from`. */
    readonly to?: string;
    /** `GET` if absent. */
    readonly method?: string;
    /** Path with query; `/` if absent. */
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  readonly expect: {
    /** The route and rule that decide, `HTTPRoute shop/reviews-canary split`; absent where no route is attached. */
    readonly rule?: string;
    /** The Kubernetes Services it may go to, with their probabilities; absent where it is not sent on. */
    readonly targets?: Readonly<Record<string, number>>;
    /** The status a proxy answers with; absent where the application answers. */
    readonly status?: number;
    /** The policy and rule that deny it: `AccessPolicy shop/cart-access no-delete`. */
    readonly deniedBy?: string;
    /** The policy and fault that every try meets: `FaultPolicy shop/ratings-trouble down`. */
    readonly fault?: string;
    /** Of a redirect. */
    readonly location?: string;
  };
}

/** Reads the corpus of one example: `shop`. */
export function readCorpus(name: string): readonly CorpusLine[] {
  return parse(readFileSync(new URL(`./${name}.yaml`, import.meta.url), 'utf8'));
}
