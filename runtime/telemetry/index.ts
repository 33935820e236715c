export * from './access-log.ts';
export * from './histogram.ts';
export * from './registry.ts';
