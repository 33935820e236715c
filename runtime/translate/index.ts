export { standIns } from './stand-ins.ts';
export type { ListenerStatus, ObjectStatus, RouteParentStatus } from './status.ts';
export { type Translation, translate } from './translate.ts';
export { createTranslator, type Translator } from './translator.ts';
