export { type AcknowledgeableId, acknowledge } from './check.ts';
export { synth } from './synth.ts';
export { validate } from './validate.ts';
