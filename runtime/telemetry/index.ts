export * from './access-log.ts';
export * from './add-up.ts';
export * from './histogram.ts';
export * from './registry.ts';
