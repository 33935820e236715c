import type { KubernetesApi, RawObject, Selection } from '../../kubernetes/index.ts';
import type { Clock, Random } from '../../model/index.ts';
import { objectKey, Reflector } from './reflector.ts';

export interface ObjectWatchOptions {
  readonly api: KubernetesApi;
  readonly apiVersion: string;
  readonly kind: string;
  readonly selection: Selection;
  /** An object came, changed or went. */
  readonly onChange: (key: string) => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** A few objects of a kind, as they are now. */
export class ObjectWatch {
  /** By `namespace/name`. */
  readonly objects = new Map<string, RawObject>();
  readonly #reflector: Reflector;

  constructor({ apiVersion, onChange, ...options }: ObjectWatchOptions) {
    const { objects } = this;
    const remove = (key: string) => {
      if (objects.delete(key)) onChange(key);
    };
    this.#reflector = new Reflector({
      ...options,
      versions: [apiVersion],
      sink: {
        update(object) {
          const key = objectKey(object.metadata);
          if (objects.get(key)?.metadata.resourceVersion === object.metadata.resourceVersion) return;
          objects.set(key, object);
          onChange(key);
        },
        remove,
        retain(keys) {
          for (const key of objects.keys()) if (!keys.has(key)) remove(key);
        },
      },
      onState: () => {},
    });
  }

  /** Resolves once it is known what there is. */
  start(): Promise<void> {
    this.#reflector.start();
    return this.#reflector.settled;
  }

  close(): void {
    this.#reflector.close();
  }
}
