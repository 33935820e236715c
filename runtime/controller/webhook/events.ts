import type { Logger } from '../../identity/index.ts';
import type { KubernetesApi } from '../../kubernetes/index.ts';
import type { Clock } from '../../model/index.ts';

export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
}

/** Something that who looks after an object should know. */
export interface Notice {
  readonly namespace: string;
  readonly regarding: ObjectReference;
  /** One word in CamelCase. */
  readonly reason: string;
  readonly note: string;
}

export interface EventRecorderOptions {
  readonly api: Pick<KubernetesApi, 'create'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Which replica of the controller writes them. */
  readonly instance: string;
}

/** Milliseconds in which the same is written once. Controllers try to create a refused pod over and over. */
const quietTime = 600_000;
const maxRemembered = 1000;
const maxInFlight = 20;
const maxNote = 1024;

/**
 * Writes warnings as Events of Kubernetes, as well as it can: what cannot be written, or comes faster than the API
 * server takes it, is only logged.
 */
export function createEventRecorder({ api, clock, logger, instance }: EventRecorderOptions): (notice: Notice) => void {
  const written = new Map<string, number>();
  let inFlight = 0;
  let count = 0;

  const isNew = (notice: Notice): boolean => {
    const key = JSON.stringify([notice.regarding, notice.reason, notice.note]);
    const now = clock.now();
    const last = written.get(key);
    if (last !== undefined && now - last < quietTime) return false;
    written.delete(key);
    written.set(key, now);
    if (written.size > maxRemembered) written.delete(written.keys().next().value!);
    return true;
  };

  return (notice) => {
    if (!isNew(notice)) return;
    const { namespace, regarding, reason, note } = notice;
    if (inFlight >= maxInFlight) {
      logger.warn({ regarding, reason, note }, 'too many events at once: one was not written');
      return;
    }
    inFlight++;
    const time = clock.wallTime();
    const name = `${regarding.name.slice(0, 200)}.${time.toString(16)}${(count++).toString(16)}`;
    api
      .create({
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name, namespace },
        // Kubernetes wants microseconds here.
        eventTime: new Date(time).toISOString().replace('Z', '000Z'),
        type: 'Warning',
        action: 'Inject',
        reason,
        note: note.length > maxNote ? `${note.slice(0, maxNote - 1)}…` : note,
        regarding,
        reportingController: 'meshwright.dev/controller',
        reportingInstance: instance.slice(0, 128),
      })
      .catch((error: unknown) => logger.warn({ regarding, reason, error: String(error) }, 'an event was not written'))
      .finally(() => inFlight--);
  };
}
