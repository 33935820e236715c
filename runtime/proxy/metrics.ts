import type { CallStatus } from '../model/index.ts';
import { type Family, type Histogram, Registry, type Value } from '../telemetry/index.ts';

const responseClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Duration histograms of one set of labels, one a response class; of calls of gRPC, one a status besides. */
export class DurationSeries {
  #byClass: (Histogram | undefined)[] = [];
  #byCallStatus = new Map<CallStatus, Histogram>();
  #family: Family<Histogram>;
  #callFamily: Family<Histogram> | undefined;
  #labels: readonly string[];

  /** The families' last label must be `response_class`, and `rpc_response_status_code` of calls. */
  constructor(family: Family<Histogram>, labels: readonly string[], callFamily?: Family<Histogram>) {
    this.#family = family;
    this.#labels = labels;
    this.#callFamily = callFamily;
  }

  /** `status` 0 means that no response was sent. */
  observe(status: number, seconds: number, callStatus?: CallStatus): void {
    if (callStatus) this.#ofCalls(callStatus)?.observe(seconds);
    const index = (status / 100) | 0;
    let histogram = this.#byClass[index];
    if (!histogram) {
      histogram = this.#family.with(...this.#labels, responseClasses[index] ?? 'none');
      this.#byClass[index] = histogram;
    }
    histogram.observe(seconds);
  }

  #ofCalls(status: CallStatus): Histogram | undefined {
    let histogram = this.#byCallStatus.get(status);
    if (!histogram && this.#callFamily) {
      histogram = this.#callFamily.with(...this.#labels, status);
      this.#byCallStatus.set(status, histogram);
    }
    return histogram;
  }
}

/** The metrics of a proxy. Labels are names of the mesh, never values that a client controls. */
export class ProxyMetrics {
  readonly registry = new Registry();
  readonly serverDuration = this.registry.histogram(
    'http_server_request_duration_seconds',
    'Duration of requests that peers sent to this workload.',
    ['service', 'version', 'source', 'mtls', 'response_class'],
  );
  readonly clientDuration = this.registry.histogram(
    'http_client_request_duration_seconds',
    'Duration of requests that this workload sent, over all tries.',
    ['source', 'service', 'target', 'route', 'mtls', 'response_class'],
  );
  readonly serverCallDuration = this.registry.histogram(
    'rpc_server_call_duration_seconds',
    'Duration of calls of gRPC that peers made to this workload.',
    ['service', 'version', 'source', 'mtls', 'rpc_response_status_code'],
  );
  readonly clientCallDuration = this.registry.histogram(
    'rpc_client_call_duration_seconds',
    'Duration of calls of gRPC that this workload made, over all tries.',
    ['source', 'service', 'target', 'route', 'mtls', 'rpc_response_status_code'],
  );
  readonly retries = this.registry.counter('http_client_retries_total', 'Tries beyond the first.', [
    'service',
    'route',
  ]);
  readonly hedges = this.registry.counter(
    'http_client_hedges_total',
    'Second tries beside a first that had not begun to answer.',
    ['service', 'route'],
  );
  readonly retriesRefused = this.registry.counter(
    'meshwright_retries_refused_total',
    'Tries that the retry budget of the target did not allow.',
    ['service', 'route'],
  );
  readonly timeouts = this.registry.counter(
    'meshwright_timeouts_total',
    'Exchanges, and tries where the limit is theirs, that a limit of time ended.',
    ['source', 'service', 'target', 'route', 'limit'],
  );
  readonly activeRequests: Value = this.registry
    .gauge('http_server_active_requests', 'Requests under way in both directions.')
    .with();
  readonly tcpConnections = this.registry.counter('tcp_connections_opened_total', 'TCP streams opened.', [
    'direction',
    'service',
    'source',
    'mtls',
  ]);
  readonly tcpBytes = this.registry.counter('tcp_bytes_total', 'Bytes of TCP streams, both ways.', [
    'direction',
    'service',
    'source',
    'mtls',
  ]);
  readonly localReplies = this.registry.counter(
    'meshwright_local_replies_total',
    'Requests that this proxy answered itself, by reason (RFC 9209).',
    ['direction', 'service', 'error'],
  );
  readonly denied = this.registry.counter(
    'meshwright_access_denied_total',
    'Requests and connections refused by policy.',
    ['policy'],
  );
  readonly rateLimited = this.registry.counter(
    'meshwright_rate_limited_total',
    'Requests and connections refused by a rate limit.',
    ['policy', 'limit'],
  );
  readonly faults = this.registry.counter(
    'meshwright_faults_injected_total',
    'Tries that met a fault, which a policy asks for.',
    ['policy', 'fault'],
  );
  readonly shed = this.registry.counter(
    'meshwright_requests_shed_total',
    'Requests answered 503 because the proxy had too much to do, by what was exceeded.',
    ['limit'],
  );
  readonly loopDelay: Value = this.registry
    .gauge('meshwright_event_loop_delay_seconds', 'How late the proxy is with its work, averaged.')
    .with();
  readonly heldBytes: Value = this.registry
    .gauge('meshwright_held_bytes', 'Memory that holds bytes which wait, for a slow reader or another try.')
    .with();
  readonly breakerRefusals = this.registry.counter(
    'meshwright_circuit_breaker_refused_total',
    'Tries and TCP streams that a circuit breaker did not let through, by the limit that was reached.',
    ['source', 'service', 'target', 'policy', 'limit'],
  );
  readonly breakerUse = this.registry.gauge(
    'meshwright_circuit_breaker_in_use',
    'What is under way of that which a circuit breaker limits.',
    ['target', 'policy', 'limit'],
  );
  readonly breakerOpen = this.registry.gauge(
    'meshwright_circuit_breaker_open',
    'Whether a limit of a circuit breaker is reached: 1 or 0.',
    ['target', 'policy', 'limit'],
  );
  readonly ejections = this.registry.counter(
    'meshwright_endpoint_ejections_total',
    'How often outlier detection ejected an endpoint, by reason.',
    ['service', 'policy', 'reason'],
  );
  readonly ejected = this.registry.gauge('meshwright_ejected_endpoints', 'Endpoints that are ejected now.', [
    'source',
    'service',
    'port',
  ]);
  readonly workerRestarts = this.registry.counter(
    'meshwright_worker_restarts_total',
    'Workers that ended by themselves and were started again.',
  );
  readonly handshakesRefused: Value = this.registry
    .counter('meshwright_tls_handshakes_refused_total', 'Peers without an acceptable certificate.')
    .with();
  readonly proxyHeadersRefused: Value = this.registry
    .counter('meshwright_proxy_headers_refused_total', 'Connections without the PROXY header that their port asks for.')
    .with();
  readonly logEntriesDropped: Value = this.registry
    .counter('meshwright_access_log_dropped_total', 'Access log entries dropped because the disk was slow.')
    .with();
  readonly certificateExpiry: Value = this.registry
    .gauge('meshwright_certificate_expiry_timestamp_seconds', 'When the current certificate ends, Unix time.')
    .with();
  readonly discoveryConnected: Value = this.registry
    .gauge('meshwright_discovery_connected', 'Whether the controller is connected: 1 or 0.')
    .with();

  constructor() {
    const cpu = this.registry.counter('process_cpu_seconds_total', 'User and system CPU time.').with();
    const memory = this.registry.gauge('process_resident_memory_bytes', 'Resident memory.').with();
    this.registry.beforeExpose(() => {
      const { user, system } = process.cpuUsage();
      cpu.value = (user + system) / 1e6;
      memory.value = process.memoryUsage.rss();
    });
  }
}
