export { type AcknowledgeableId, acknowledge, validate } from './check.ts';
export { synth } from './synth.ts';
