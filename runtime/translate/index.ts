export { standIns } from './stand-ins.ts';
export type { ListenerStatus, ObjectStatus, RouteParentStatus } from './status.ts';
export { translate } from './translate.ts';
