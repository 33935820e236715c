import { Code, ConnectError } from '@connectrpc/connect';
import { type Finding, finding } from '../model/index.ts';

const wait = 'it goes on asking, and nothing has to be restarted';

/** Why a proxy got no certificate from the controller at an address, and what to do about it. */
export function certificateFailure(error: unknown, address: string): Finding {
  const { code, rawMessage, cause } = ConnectError.from(error);
  if (code === Code.Unauthenticated) {
    return problem(
      `the controller at ${address} refuses the token: ${rawMessage}`,
      'a pod that was removed, or whose service account was, gets no certificate; make the pod anew',
    );
  }
  if (code === Code.DeadlineExceeded || isOfNetwork(cause)) {
    return problem(
      `the controller at ${address} does not answer: ${isOfNetwork(cause) ? cause.message : rawMessage}`,
      `does the controller run? On Kubernetes, \`meshwright check\` tells; ${wait}`,
    );
  }
  return problem(rawMessage, `on Kubernetes, \`meshwright check\` tells what is wrong with the control plane; ${wait}`);
}

/** Whether the machine's network refused, and not who was asked. */
function isOfNetwork(cause: unknown): cause is { readonly syscall: string; readonly message: string } {
  return typeof cause === 'object' && cause !== null && 'syscall' in cause;
}

function problem(message: string, hint: string): Finding {
  return finding('MW1620', { message, hint });
}
