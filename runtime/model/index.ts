export * from './access.ts';
export * from './catalogue.ts';
export * from './clock.ts';
export * from './finding.ts';
export * from './http.ts';
export * from './reference.ts';
export * from './resources.ts';
export * from './spiffe.ts';
