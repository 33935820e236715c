import type { EndpointState } from './endpoint-state.ts';

/** Which share of the requests each endpoint gets. */
export type Shares = ReadonlyMap<EndpointState, number>;

/** Chooses among a set of endpoints that does not change: another set gets another picker. */
export interface Picker {
  /** `undefined` where none is left beside the excluded ones. */
  pick(key: string | undefined, exclude: ReadonlySet<EndpointState> | undefined): EndpointState | undefined;
  /** What {@link pick} comes to over many requests with this key, when all endpoints answer alike. */
  shares(key: string | undefined): Shares;
}

/** Makes the picker of a set of endpoints. */
export type Algorithm = (states: readonly EndpointState[]) => Picker;
