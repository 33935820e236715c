export { createHttp1Client, type Http1ClientOptions } from './client.ts';
export { createHttp1Server, type Http1ServerOptions } from './server.ts';
export type { Http1ServerHandler } from './server-handler.ts';
