import type { EdgeStats, PolicyStats, ServiceStats } from '../controller/index.ts';
import { formatTable } from './output.ts';

type Traffic = Pick<ServiceStats, 'rps' | 'success' | 'p50' | 'p99' | 'mtls'>;

export const trafficTitles = ['RPS', 'SUCCESS', 'P50', 'P99', 'MTLS'] as const;

interface Stats extends PolicyStats {
  readonly services: readonly ServiceStats[];
}

/** Services and their versions with how requests to them go; below, what policies keep from them, where they do. */
export function formatStats({ services, circuitBreakers, ejections }: Stats): string {
  const rows = services.map((row) => [row.service, row.version || '-', ...trafficCells(row)]);
  const tables = [formatTable(['SERVICE', 'VERSION', ...trafficTitles], rows)];
  if (circuitBreakers.length > 0) {
    const breakers = circuitBreakers.map(({ policy, limit, open, proxies, refused }) => {
      return [policy, limit, open.join(', ') || '-', `${proxies}`, perSecond(refused)];
    });
    tables.push(formatTable(['CIRCUIT BREAKER', 'LIMIT', 'OPEN FOR', 'AT PROXIES', 'REFUSED'], breakers));
  }
  if (ejections.length > 0) {
    const ejected = ejections.map((row) => [`${row.service}:${row.port}`, `${row.ejected}`, `${row.proxies}`]);
    tables.push(formatTable(['EJECTED OF', 'ENDPOINTS', 'AT PROXIES'], ejected));
  }
  return tables.join('\n\n');
}

/** What circuit breakers, limits of time and outlier detection do has columns where they do something. */
export function formatEdges(edges: readonly EdgeStats[]): string {
  const isStrained = edges.some(({ refused, ejected }) => (refused ?? ejected) !== undefined);
  const isLate = edges.some(({ timedOut }) => timedOut !== undefined);
  const rows = edges.map((edge) => [
    edge.source,
    edge.service,
    edge.target === edge.service ? '-' : edge.target,
    edge.protocol,
    ...trafficCells(edge),
    ...(isStrained ? [perSecond(edge.refused), `${edge.ejected ?? '-'}`] : []),
    ...(isLate ? [perSecond(edge.timedOut)] : []),
  ]);
  const strain = [...(isStrained ? ['REFUSED', 'EJECTED'] : []), ...(isLate ? ['TIMED OUT'] : [])];
  return formatTable(['FROM', 'TO', 'TARGET', 'PROTOCOL', ...trafficTitles, ...strain], rows);
}

export function trafficCells({ rps, success, p50, p99, mtls }: Traffic): string[] {
  return [rps.toFixed(1), share(success), milliseconds(p50), milliseconds(p99), share(mtls)];
}

function perSecond(value: number | undefined): string {
  return value === undefined ? '-' : `${value.toFixed(1)}/s`;
}

function share(value: number | undefined): string {
  if (value === undefined) return '-';
  // Never round a failure away.
  return `${(Math.floor(value * 10_000) / 100).toFixed(value === 1 ? 0 : 2)}%`;
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '-' : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
