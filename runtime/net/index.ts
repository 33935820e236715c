export * from './connect.ts';
export * from './connection.ts';
export * from './http.ts';
export * from './listener.ts';
export * from './pool.ts';
export * from './socket.ts';
export * from './tls.ts';
