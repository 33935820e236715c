import type { AuthorityStore } from '../../runtime/controller/authority/authority-store.ts';
import { FileAuthorityStore } from '../../runtime/controller/authority/file-authority-store.ts';
import { SecretAuthorityStore } from '../../runtime/controller/authority/secret-authority-store.ts';
import type { RawObject } from '../../runtime/kubernetes/index.ts';
import { MemoryApi } from '../kubernetes/memory-api.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

export const namespace = 'meshwright-system';
export const trustDomain = 'shop.local';

/** A place to keep authorities, and as many stores of it as there are controllers. */
export interface Place extends Disposable {
  open(): AuthorityStore;
}

export class SecretPlace implements Place {
  readonly api = new MemoryApi(new ManualClock());

  open(): SecretAuthorityStore {
    return new SecretAuthorityStore({ api: this.api, namespace });
  }

  get secret(): RawObject | undefined {
    return this.api.get('Secret', 'meshwright-ca', namespace);
  }

  /** What the Secret says under a name. */
  text(name: string): string {
    return Buffer.from((this.secret!.data as Record<string, string>)[name] ?? '', 'base64').toString();
  }

  /** Puts a Secret there as a user does, or cert-manager. */
  put(data: Readonly<Record<string, string | undefined>>, metadata: Partial<RawObject['metadata']> = {}): void {
    const texts = Object.entries(data).filter(([, text]) => text !== undefined) as [string, string][];
    this.api.put({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: 'meshwright-ca', namespace, ...metadata },
      data: Object.fromEntries(texts.map(([name, text]) => [name, Buffer.from(text).toString('base64')])),
    });
  }

  /** Changes one text of what is there, and leaves the rest. */
  change(name: string, text: string): void {
    const { data, ...secret } = this.secret!;
    const changed = { ...(data as Record<string, string>), [name]: Buffer.from(text).toString('base64') };
    this.api.put({ ...secret, data: changed });
  }

  /** How often something was written. */
  get writes(): number {
    return this.api.calls.filter(({ verb }) => ['create', 'replace', 'apply', 'remove'].includes(verb)).length;
  }

  [Symbol.dispose](): void {
    this.api.close();
  }
}

export class FilePlace implements Place {
  readonly directory = new TemporaryDirectory();

  open(): FileAuthorityStore {
    return new FileAuthorityStore({ directory: this.directory.path, trustDomain });
  }

  [Symbol.dispose](): void {
    this.directory[Symbol.dispose]();
  }
}
