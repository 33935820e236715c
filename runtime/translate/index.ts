export { standIns } from './stand-ins.ts';
export type { ObjectStatus } from './status.ts';
export { translate } from './translate.ts';
