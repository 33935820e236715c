/** Discovery as a proxy needs it. The controller's side is `server.ts`. */
export { DiscoveryClient, type DiscoveryClientOptions, type DiscoveryUpdate } from './discovery-client.ts';
