import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

/** An object of these fields and no others. */
function fields<Shape extends z.core.$ZodLooseShape>(what: string, shape: Shape) {
  const allowed = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown ${what} ${issue.keys.join(', ')}; allowed are ${allowed}`
        : undefined,
  });
}

const byName = <Value extends z.ZodType>(value: Value) => z.record(z.string(), value);
/** By lower-case name; `null` where there must be none of that name. Those that are not named may be anything. */
const headers = byName(z.string().nullable());

const request = fields('field of a request', {
  /** Name of the workload that sends it, for example `reviews-v1`; or else `gateway`. */
  from: z.string().optional(),
  /** Name of the gateway it enters by, at the port of its first listener. */
  gateway: z.string().optional(),
  /** Address of a client without identity: where it is not stated, it is not known. */
  client: z.string().optional(),
  /** `service:port`, with `from`. */
  to: z.string().optional(),
  /** `GET` if absent. */
  method: z.string().optional(),
  /** Path with query; `/` if absent. */
  path: z.string().optional(),
  headers: byName(z.string()).optional(),
  body: z.string().optional(),
});

/** What becomes of a request. What is absent here must not happen. */
const outcome = {
  /** The route and rule that decide, `HTTPRoute shop/reviews-canary split`; absent where no route is attached. */
  rule: z.string().optional(),
  /** The Kubernetes Services it may go to, with their probabilities; absent where it is not sent on. */
  targets: byName(z.number()).optional(),
  /** The status a proxy answers with; absent where the application answers. */
  status: z.number().optional(),
  /** The policy and rule that deny it: `AccessPolicy shop/cart-access no-delete`. */
  deniedBy: z.string().optional(),
  /** The policy and fault that every try meets: `FaultPolicy shop/ratings-trouble down`. */
  fault: z.string().optional(),
  /** Of a redirect. */
  location: z.string().optional(),
};

/** What policies say of it. What is absent here may be anything; `null`, `[]` and `{}` say that there is none. */
const policies = {
  /** Milliseconds by limit: `{ request: 1000 }`. */
  timeouts: byName(z.number()).optional(),
  /** Of failed tries; `backoff` in milliseconds. */
  retry: fields('field of a retry', {
    attempts: z.number(),
    codes: z.array(z.number()).readonly().optional(),
    grpcStatuses: z.array(z.string()).readonly().optional(),
    backoff: z.number().optional(),
  })
    .nullable()
    .optional(),
  /** By target, the percentage of its requests that may be repetitions. */
  retryBudget: byName(z.number()).optional(),
  /** After how many milliseconds a second try begins. */
  hedge: z.number().nullable().optional(),
  /** The rate limits that count it: `RateLimitPolicy shop/cart-limits filling`. */
  limits: z.array(z.string()).readonly().optional(),
  /** What it has to pass, with its limits: `{ CircuitBreakerPolicy shop/ratings-limits: { requests: 500 } }`. */
  circuitBreakers: byName(byName(z.number())).optional(),
  /** By target, the policy that judges its endpoints. */
  outlierDetection: byName(z.string()).optional(),
  /** By the service that gets a copy, the percentage of requests that are copied. */
  mirrors: byName(z.number()).optional(),
  /** By target, how an endpoint is chosen, and by which value of the request: `{ kind: ring-hash, key: ada }`. */
  balancing: byName(fields('field of balancing', { kind: z.string(), key: z.string().optional() })).optional(),
  /** What the target sees; of it only what is stated. */
  forwarded: fields('field of forwarded', {
    path: z.string().optional(),
    host: z.string().optional(),
    headers: headers.optional(),
  }).optional(),
  /** What the rule makes of the answer's headers. */
  responseHeaders: headers.optional(),
  /** The origin whose pages may read the answer, or `*`. */
  allowOrigin: z.string().nullable().optional(),
};

const corpus = z.array(
  fields('field of a line', {
    /** A sentence. */
    name: z.string(),
    request,
    expect: fields('expectation', { ...outcome, ...policies }),
  }),
);

/** A request and what a mesh must do with it: one line of a corpus. */
export type CorpusLine = z.infer<typeof corpus>[number];

/** What a line says must happen. */
export type Expectation = CorpusLine['expect'];

/** Those of the expectations that are checked only where a line states them. */
export const pinned = Object.keys(policies) as readonly (keyof typeof policies)[];

/** @throws Error that names the line and what is allowed, where something is not */
export function parseCorpus(text: string): readonly CorpusLine[] {
  const lines: unknown = parse(text);
  const parsed = corpus.safeParse(lines);
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.map(({ path: [line, ...field], message }) => {
    const named = (lines as { name?: string }[])[line as number]?.name ?? `line ${String(line)}`;
    return `${named}: ${[field.join('.'), message].filter((part) => part !== '').join(': ')}`;
  });
  throw new Error(complaints.join('\n'));
}

/** Reads the corpus of one example: `shop`. */
export function readCorpus(name: string): readonly CorpusLine[] {
  return parseCorpus(readFileSync(new URL(`./${name}.yaml`, import.meta.url), 'utf8'));
}
