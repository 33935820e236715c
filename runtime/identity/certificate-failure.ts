import { type Finding, finding } from '../model/index.ts';
import { GrpcError } from '../rpc/index.ts';

const wait = 'it goes on asking, and nothing has to be restarted';

/** Why a proxy got no certificate from the controller at an address, and what to do about it. */
export function certificateFailure(error: unknown, address: string): Finding {
  const status = error instanceof GrpcError ? error.status : undefined;
  const reason = error instanceof GrpcError ? error.reason : String((error as Error | undefined)?.message ?? error);
  const cause = error instanceof GrpcError ? error.cause : error;
  if (status === 'UNAUTHENTICATED') {
    return problem(
      `the controller at ${address} refuses the token: ${reason}`,
      'a pod that was removed, or whose service account was, gets no certificate; make the pod anew',
    );
  }
  if (status === 'DEADLINE_EXCEEDED' || isOfNetwork(cause)) {
    return problem(
      `the controller at ${address} does not answer: ${isOfNetwork(cause) ? cause.message : reason}`,
      `does the controller run? On Kubernetes, \`meshwright check\` tells; ${wait}`,
    );
  }
  return problem(reason, `on Kubernetes, \`meshwright check\` tells what is wrong with the control plane; ${wait}`);
}

/** Whether the machine's network refused, and not who was asked. */
function isOfNetwork(cause: unknown): cause is { readonly syscall: string; readonly message: string } {
  return typeof cause === 'object' && cause !== null && 'syscall' in cause;
}

function problem(message: string, hint: string): Finding {
  return finding('MW1620', { message, hint });
}
