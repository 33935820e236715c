export { createHttp2Client, type Http2ClientOptions } from './client.ts';
export { createHttp2Server } from './server.ts';
export type { Http2Options } from './session.ts';
