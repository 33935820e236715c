/** A bound of a proxy that a Mesh may set. */
interface Limit {
  readonly unit: 'milliseconds' | 'bytes' | 'count';
  readonly default: number;
  readonly least: number;
  readonly most: number;
}

const second = 1000;
const hour = 3_600_000;
const kibi = 1024;

/** Every bound of a proxy that a Mesh may set, under its name in the Mesh. */
export const proxyLimits = {
  /** Bytes of a message head, after decompression. Requests beyond are answered 431. */
  maxHeadBytes: {
    unit: 'bytes',
    default: 60 * kibi,
    least: kibi,
    most: 1024 * kibi,
  },
  /** Header fields of a message. Requests beyond are answered 431. */
  maxHeaders: {
    unit: 'count',
    default: 100,
    least: 10,
    most: 10_000,
  },
  /** For a head to arrive once its first byte has. 408 beyond. */
  headTimeout: {
    unit: 'milliseconds',
    default: 10 * second,
    least: 100,
    most: hour,
  },
  /** For a connection without a request, after which it is closed. */
  idleTimeout: {
    unit: 'milliseconds',
    default: hour,
    least: second,
    most: 24 * hour,
  },
  /** For a request or response to make no progress, after which it is given up. */
  streamIdleTimeout: {
    unit: 'milliseconds',
    default: 300 * second,
    least: second,
    most: 24 * hour,
  },
  /** Streams that a peer may open at once on a connection of HTTP/2. Those beyond are refused. */
  maxConcurrentStreams: {
    unit: 'count',
    default: 1000,
    least: 1,
    most: 100_000,
  },
  /** Bytes of one body on HTTP/2 that may be under way, or held back while its reader pauses. */
  streamWindow: {
    unit: 'bytes',
    default: 1024 * kibi,
    least: 64 * kibi,
    most: 64 * kibi * kibi,
  },
  /** The same for all bodies of a connection together. */
  connectionWindow: {
    unit: 'bytes',
    default: 16 * kibi * kibi,
    least: 64 * kibi,
    most: 1024 * kibi * kibi,
  },
  /** Connections a listener holds at once. Those beyond are closed. */
  maxConnections: {
    unit: 'count',
    default: 20_000,
    least: 10,
    most: 1_000_000,
  },
  /** Requests under way at once, streams and tunnels among them. Those beyond are answered 503, or UNAVAILABLE where they are calls of gRPC. */
  maxActiveRequests: {
    unit: 'count',
    default: 10_000,
    least: 1,
    most: 1_000_000,
  },
  /**
   * The same while the proxy has had not a moment's rest for some hundredths of a second. Requests that wait for an
   * application are no work, and may be more.
   */
  maxBusyRequests: {
    unit: 'count',
    default: 1000,
    least: 1,
    most: 1_000_000,
  },
  /**
   * Memory that holds bytes which wait: for a slow reader, for the other hop, for another try. Requests beyond are
   * answered 503; what is under way goes on.
   */
  maxHeldBytes: {
    unit: 'bytes',
    default: 64 * kibi * kibi,
    least: kibi * kibi,
    most: 64 * kibi * kibi * kibi,
  },
  /**
   * How late the proxy may be with its work, on average of some hundredths of a second. From there on a growing share of
   * requests is answered 503, all of them at twice as much.
   */
  maxLoopDelay: {
    unit: 'milliseconds',
    default: 250,
    least: 10,
    most: 60 * second,
  },
  /** For a connection to be usable, handshake included. */
  connectTimeout: {
    unit: 'milliseconds',
    default: 5 * second,
    least: 10,
    most: 600 * second,
  },
  /**
   * On a TCP port that takes plain text besides mutual TLS: for a client to say something before it is taken to wait for
   * the server to speak first. A peer sends its ClientHello as soon as it is connected; the default leaves it time to
   * get a processor and to send once more what was lost (Linux does so 200 ms after the round trip).
   */
  serverFirstDelay: {
    unit: 'milliseconds',
    default: 300,
    least: 10,
    most: 60 * second,
  },
  /** Connections of HTTP/1.1 to one application port or plain endpoint. */
  maxHttp1Connections: {
    unit: 'count',
    default: 1024,
    least: 1,
    most: 100_000,
  },
  /** Connections of HTTP/2 to one endpoint; a second one is made when the first carries all streams it may. */
  maxHttp2Connections: {
    unit: 'count',
    default: 4,
    least: 1,
    most: 1000,
  },
  /** Requests that wait for a connection to one endpoint. 503 beyond. */
  maxPending: {
    unit: 'count',
    default: 1024,
    least: 1,
    most: 100_000,
  },
  /** Copies of requests on their way to mirrors. Beyond that none is made. */
  maxMirrored: {
    unit: 'count',
    default: 256,
    least: 0,
    most: 100_000,
  },
  /** Bytes of a request body kept so that the request can be sent again, or mirrored. */
  replayBytes: {
    unit: 'bytes',
    default: 64 * kibi,
    least: 0,
    most: 16 * kibi * kibi,
  },
  /** Silence of a connection between proxies after which the other one is asked whether it is there. */
  peerKeepaliveInterval: {
    unit: 'milliseconds',
    default: 10 * second,
    least: second,
    most: hour,
  },
  /** For the other proxy to answer that, else the connection is closed. */
  peerKeepaliveTimeout: {
    unit: 'milliseconds',
    default: 5 * second,
    least: 100,
    most: hour,
  },
  /** For a TCP stream, or a tunnel after an upgrade, without a byte in either direction. */
  tcpIdleTimeout: {
    unit: 'milliseconds',
    default: hour,
    least: second,
    most: 168 * hour,
  },
  /** For requests under way when the proxy is told to stop. The pod's grace period should be longer. */
  drainTimeout: {
    unit: 'milliseconds',
    default: 25 * second,
    least: 0,
    most: hour,
  },
} as const satisfies Record<string, Limit>;

type ProxyLimitTable = typeof proxyLimits;
export type ProxyLimitName = keyof ProxyLimitTable;
export const proxyLimitNames = Object.keys(proxyLimits) as readonly ProxyLimitName[];

/** Bounds that a Mesh states, by their names; `Time` and `Amount` are how times and other numbers are written. */
export type LimitsAs<Time, Amount> = {
  readonly [Name in keyof ProxyLimitTable]?: ProxyLimitTable[Name]['unit'] extends 'milliseconds' ? Time : Amount;
};

/** Bounds that a Mesh states. Times in milliseconds. */
export type StatedLimits = LimitsAs<number, number>;

/** What each limit is, for documentation and schemas: of no use in a proxy, whose bundle leaves it out. */
export const proxyLimitMeanings: Readonly<Record<ProxyLimitName, string>> = {
  maxHeadBytes: 'bytes of a message head, after decompression; 431 beyond',
  maxHeaders: 'header fields of a message; 431 beyond',
  headTimeout: 'for a head to arrive once its first byte has; 408 beyond',
  idleTimeout: 'for a connection without a request',
  streamIdleTimeout: 'for a request and its response to make no progress',
  maxConcurrentStreams: 'streams at once on a connection of HTTP/2; those beyond are refused',
  streamWindow: 'bytes of one body on HTTP/2 that may be under way, or held back for a slow reader',
  connectionWindow: 'the same for all bodies of a connection together',
  maxConnections: 'connections a listener holds at once; those beyond are closed',
  maxActiveRequests: 'requests under way at once, both ways, streams and tunnels among them; 503 beyond',
  maxBusyRequests: 'the same while the proxy is busy without a moment of rest',
  maxHeldBytes: 'bytes that wait in memory, for a slow reader, the other hop or another try; 503 beyond',
  maxLoopDelay:
    'how late the proxy may be with its work; a growing share of requests gets 503 beyond, all at twice as much',
  connectTimeout: 'for a connection to be usable, handshake included',
  serverFirstDelay: 'on permissive TCP ports: for a client to say something before the server is taken to speak first',
  maxHttp1Connections: 'connections of HTTP/1.1 to one application port or plain endpoint',
  maxHttp2Connections: 'connections of HTTP/2 to one endpoint; another one is made when all carry the streams they may',
  maxPending: 'requests that wait for a connection to one endpoint; 503 beyond',
  maxMirrored: 'copies of requests on their way to mirrors; none beyond',
  replayBytes: 'bytes of a request body kept so that it can be sent again, or mirrored; longer ones are not',
  peerKeepaliveInterval: 'silence between proxies after which the other one is asked whether it is there',
  peerKeepaliveTimeout: 'for the other proxy to answer that',
  tcpIdleTimeout: 'for a TCP stream, or a tunnel after an upgrade, without a byte in either direction',
  drainTimeout: 'for requests under way when the proxy is told to stop; the pod needs a longer grace period',
};
