export { createHttp2Client, type Http2ClientOptions } from './client.ts';
export type { Http2Options } from './options.ts';
export { createHttp2Server } from './server.ts';
