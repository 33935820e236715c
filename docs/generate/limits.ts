import { writeFileSync } from 'node:fs';
import { type ProxyLimitName, proxyLimitMeanings, proxyLimitNames, proxyLimits } from '../../runtime/model/index.ts';

const milliseconds = [
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
] as const;
const bytes = [
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
] as const;

function readable(name: ProxyLimitName, value: number): string {
  const { unit } = proxyLimits[name];
  if (unit === 'count' || value === 0) return value.toLocaleString('en').replaceAll(',', ' ');
  const scale = unit === 'bytes' ? bytes : milliseconds;
  const [size, symbol] = scale.find(([one]) => value % one === 0) ?? [1, unit === 'bytes' ? 'B' : 'ms'];
  return `${value / size} ${symbol}`;
}

/** The page docs/limits.md: every bound that a Mesh may set. */
export function renderLimits(): string {
  const rows = proxyLimitNames.map((name) => {
    const { default: usual, least, most } = proxyLimits[name];
    const meaning = proxyLimitMeanings[name];
    const range = `${readable(name, least)} to ${readable(name, most)}`;
    return `| \`${name}\` | ${readable(name, usual)} | ${range} | ${meaning} |`;
  });
  return `${introduction}\n${rows.join('\n')}\n${rest}`;
}

const introduction = `<!-- Made by \`npm run docs:limits\` from runtime/model/limits.ts. Do not edit. -->

# Limits

Everything that costs a proxy memory or time has a bound. Each has a default; a \`Mesh\` sets others for the proxies of
its namespace, gateways too:

\`\`\`ts
import { App, Duration, Mesh } from 'meshwright';

const mesh = new Mesh(new App(), 'files', {
  limits: { maxHeaders: 200, idleTimeout: Duration.minutes(10), maxActiveRequests: 2_000 },
});
\`\`\`

By hand they are \`spec.limits\` of the \`Mesh\`, times as \`10s\` or \`1m30s\`. A change reaches running proxies; connections
that are open keep what they were given, and handshakes of peers the \`connectTimeout\` that the proxy started with. Each
worker of a proxy with several has all of a limit for itself. The admin port keeps the defaults.

| Limit | Default | Allowed | Meaning |
|---|---|---|---|`;

const rest = `
A peer that opens and resets HTTP/2 streams over and over, or sends floods of control frames, loses its connection
whatever the limits. Heads that are not complete yet take 16 MiB on all connections together, and 4 KiB on each beyond that:
who begins longer ones then gets 503.

## Overload

A proxy that is asked for more than it can carry answers some requests \`503\` at once, before anything else is done for
them, with \`retry-after: 1\` and \`proxy-status: meshwright; error=proxy_internal_response\`; calls of gRPC get
\`UNAVAILABLE\`. The others are served in time, and the proxy stays up. Requests are refused

- when \`maxActiveRequests\` are under way, streams and tunnels among them;
- when \`maxBusyRequests\` are under way and the proxy had not a moment's rest for two measurements or more of 20 ms:
  each request that is carried at once makes all others slower. Where requests wait for a slow application the proxy
  does have rest, and there may be more;
- when \`maxHeldBytes\` of memory hold bytes that wait: slow readers, many of them, then cost the others their requests,
  and not the proxy its life. A pod with much more memory than the usual 128 MiB can have more of it;
- when the proxy is late with its work by more than \`maxLoopDelay\`, averaged over some hundredths of a second: the more
  it is late, the larger the share that is refused; at twice the limit, all are. A single pause refuses nobody.

Streams and tunnels that are open go on. Health, metrics and the rest of the admin port are never refused, nor are the
kubelet's probes. \`meshwright_requests_shed_total\` counts what was refused, by the limit that was exceeded
(\`requests\`, \`memory\`, \`busy\`, \`delay\`), and \`meshwright_event_loop_delay_seconds\` tells how late the proxy is,
\`meshwright_held_bytes\` how much waits in its memory. Such requests are not in
the access log, whose lines cost as much as the answer.
\`npm run bench -- overload\` measures what is left of the throughput at one, two and four times what can be carried.
`;

if (import.meta.main) {
  writeFileSync(new URL('../limits.md', import.meta.url), renderLimits());
}
