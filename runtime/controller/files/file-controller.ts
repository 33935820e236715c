import { verifyWorkloadToken } from '../../identity/authority.ts';
import { systemClock } from '../../model/index.ts';
import { FileAuthorityStore } from '../authority/file-authority-store.ts';
import { type Controller, type ControllerOptions, startController } from '../controller.ts';
import { createFileProvider } from './file-provider.ts';

export interface FileControllerOptions
  extends Pick<ControllerOptions, 'listen' | 'api' | 'logger' | 'clock' | 'random'> {
  /** Directories of manifests, read recursively and watched. */
  readonly manifests: readonly string[];
  /** Where the certificate authority is kept. */
  readonly stateDirectory: string;
  /** What workload tokens are verified with. */
  readonly tokenPublicKeyPem: string;
}

/** Runs the control plane of a mesh whose objects are files: one controller, on its own. */
export function startFileController(options: FileControllerOptions): Promise<Controller> {
  const { manifests, stateDirectory: directory, tokenPublicKeyPem: publicKeyPem, ...rest } = options;
  const { clock = systemClock } = options;
  return startController({
    ...rest,
    provider: createFileProvider({ directories: manifests, clock }),
    authorityStore: (trustDomain) => new FileAuthorityStore({ directory, trustDomain }),
    verifyToken: (token) => verifyWorkloadToken(token, { publicKeyPem, clock }),
    isLeader: () => true,
  });
}
