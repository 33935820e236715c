/** Identity as a proxy needs it: its own certificate, and who a peer is. The authority's side is `authority.ts`. */
export { type ControllerChannelOptions, openControllerChannel } from './controller-channel.ts';
export type { Logger } from './logger.ts';
export { controllerIdentity, verifyPeerIdentity } from './peer.ts';
export { retryDelay } from './retry-delay.ts';
export type { Svid, SvidSource } from './svid.ts';
export { createSvidSource, type SvidSourceOptions } from './svid-source.ts';
