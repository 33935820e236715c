import type { Duration } from 'cdk8s';
import type { LoadBalancingPolicyObject } from '../../runtime/resources/index.ts';
import { formatDuration } from '../synth/duration.ts';
import type { HashKey } from './hash-key.ts';

type Spec = LoadBalancingPolicyObject['spec'];

/** What every way to choose can have. */
export interface BalancingProps {
  /**
   * Percent, from 1 to 100: with a smaller part of all endpoints ready, those that are not are tried as well, since
   * the few that are left would break down.
   * @default - only ready endpoints are tried
   */
  readonly panicThreshold?: number;
}

/** How requests are kept in the caller's zone. */
export interface ZonePreferenceProps {
  /** With fewer endpoints ready in the zone, the missing share of the requests goes to the other zones. */
  readonly minEndpoints: number;
}

/** What a way to choose can have by which any endpoint may take any request. */
export interface SpreadingProps extends BalancingProps {
  /**
   * Keeps requests in the zone of the caller.
   * @default - zones do not count
   */
  readonly preferSameZone?: ZonePreferenceProps;

  /**
   * How long the share of an endpoint that has just come grows, from a tenth to a full one; 1 second to 1 hour.
   * @default - its share is full at once
   */
  readonly slowStart?: Duration;
}

/** By what a key is read. */
export interface HashingProps extends BalancingProps {
  /** Requests that are equal in this go to the same endpoint; those that do not have it go as by peak EWMA. */
  readonly by: HashKey;
}

/** A cookie that leads a client back. Scripts cannot read it (`HttpOnly`). */
export interface StickyProps extends SpreadingProps {
  /**
   * Name of the cookie.
   * @default - `mw-` and the name of the service
   */
  readonly cookie?: string;

  /**
   * How long it lasts, at most 7 days.
   * @default - as long as the session of the browser
   */
  readonly maxAge?: Duration;

  /** @default '/' */
  readonly path?: string;

  /**
   * Whether it is sent with requests that another site causes. `None` needs `secure`.
   * @default 'Lax'
   */
  readonly sameSite?: 'Strict' | 'Lax' | 'None';

  /**
   * Whether it is sent back over TLS only.
   * @default false
   */
  readonly secure?: boolean;
}

/** How callers choose one of the endpoints of a service. */
export class LoadBalancing {
  /**
   * The one of two random endpoints with the lower expected wait: its latency, in which a peak counts at once, times
   * the requests under way. This is what a service without a policy has.
   *
   * @example LoadBalancing.peakEwma({ preferSameZone: { minEndpoints: 2 }, slowStart: Duration.seconds(30) })
   */
  static peakEwma(props: SpreadingProps = {}): LoadBalancing {
    return new LoadBalancing('PeakEWMA', props);
  }

  /** The one of two random endpoints with fewer requests under way. */
  static leastRequest(props: SpreadingProps = {}): LoadBalancing {
    return new LoadBalancing('LeastRequest', props);
  }

  /** Each in turn. */
  static roundRobin(props: SpreadingProps = {}): LoadBalancing {
    return new LoadBalancing('RoundRobin', props);
  }

  /** Any, at random. */
  static random(props: SpreadingProps = {}): LoadBalancing {
    return new LoadBalancing('Random', props);
  }

  /**
   * Equal keys go to one endpoint. When an endpoint leaves, only its own keys move; shares differ by some per cent.
   *
   * @example LoadBalancing.ringHash({ by: HashKey.header('x-user') })
   */
  static ringHash(props: HashingProps): LoadBalancing {
    return new LoadBalancing('RingHash', props);
  }

  /**
   * Equal keys go to one endpoint. Shares are even; when an endpoint leaves, a few keys of the others move as well.
   *
   * @example LoadBalancing.maglev({ by: HashKey.query('tenant') })
   */
  static maglev(props: HashingProps): LoadBalancing {
    return new LoadBalancing('Maglev', props);
  }

  /**
   * A client comes back to the endpoint that answered it first, by a cookie that the mesh sets; its first request
   * goes as by peak EWMA. When the endpoint is gone, another takes its place.
   *
   * @example LoadBalancing.sticky({ maxAge: Duration.hours(1) })
   */
  static sticky(props: StickyProps = {}): LoadBalancing {
    const { cookie, maxAge, path, sameSite, secure } = props;
    const persistence: Spec['sessionPersistence'] = {
      ...(cookie !== undefined && { sessionName: cookie }),
      ...(maxAge && { absoluteTimeout: formatDuration(maxAge) }),
      ...(path !== undefined && { path }),
      ...(sameSite && { sameSite }),
      ...(secure !== undefined && { secure }),
    };
    return new LoadBalancing('PeakEWMA', props, persistence);
  }

  readonly algorithm: Spec['algorithm'];
  /** What was asked for. */
  readonly props: Partial<HashingProps & StickyProps>;
  readonly #persistence: Spec['sessionPersistence'];

  private constructor(
    algorithm: Spec['algorithm'],
    props: Partial<HashingProps & StickyProps>,
    persistence?: Spec['sessionPersistence'],
  ) {
    this.algorithm = algorithm;
    this.props = props;
    this.#persistence = persistence;
  }

  /** @internal */
  _render(): Omit<Spec, 'targetRefs'> {
    const { by, preferSameZone, slowStart, panicThreshold } = this.props;
    return {
      algorithm: this.algorithm,
      ...(by && { hashKey: by._render() }),
      ...(this.#persistence && { sessionPersistence: this.#persistence }),
      ...(preferSameZone && { preferSameZone: { minEndpoints: preferSameZone.minEndpoints } }),
      ...(slowStart && { slowStart: { window: formatDuration(slowStart) } }),
      ...(panicThreshold !== undefined && { panicThreshold }),
    };
  }

  /** Whether requests must be read for it. */
  get readsRequests(): boolean {
    const { by } = this.props;
    return this.#persistence !== undefined || (by !== undefined && by.kind !== 'source');
  }
}
