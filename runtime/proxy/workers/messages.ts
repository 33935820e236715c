import type { Svid } from '../../identity/index.ts';
import type { Resource, ResourceKind } from '../../model/index.ts';
import type { Bootstrap } from '../bootstrap.ts';

/** A change of configuration, as the first process got it. */
export interface ConfigurationChange {
  readonly updates: readonly Resource[];
  readonly kind: ResourceKind;
  readonly removed: readonly string[];
}

/** What the first process of a proxy tells its workers. They are of one program, and nobody else has the channel. */
export type ToWorker =
  | {
      readonly type: 'start';
      readonly bootstrap: Bootstrap;
      readonly svid: Svid;
      readonly resources: readonly Resource[];
    }
  | { readonly type: 'svid'; readonly svid: Svid }
  | ({ readonly type: 'change' } & ConfigurationChange)
  | { readonly type: 'metrics' }
  | { readonly type: 'drain' };

/** What a worker tells the first process. */
export type FromWorker =
  /** It can be told to start. */
  | { readonly type: 'hello' }
  | { readonly type: 'listening' }
  /** Its metrics, in Prometheus text format. */
  | { readonly type: 'metrics'; readonly text: string };
