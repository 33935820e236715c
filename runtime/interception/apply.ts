import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Has the kernel take a ruleset of nftables for the network namespace of this process, through the program `nft`.
 * Rejects with what to do about it.
 */
export async function applyRules(rules: string, program = 'nft'): Promise<void> {
  const nft = spawn(program, ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  // Where nft ends before it has read everything, its own words say why.
  nft.stdin.on('error', () => {});
  nft.stdin.end(rules);
  let words = '';
  nft.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(0, 4096);
  });
  let code: number | null;
  try {
    [code] = (await once(nft, 'close')) as [number | null];
  } catch (error) {
    throw new Error(explain((error as NodeJS.ErrnoException).code, (error as Error).message), { cause: error });
  }
  if (code !== 0) throw new Error(explain(undefined, words.trim() || `nft ended with code ${code}`));
}

function explain(code: string | undefined, words: string): string {
  const told = `connections cannot be redirected: ${words}`;
  if (code === 'ENOENT') return `${told}\nThe program nft (package nftables) is not in PATH.`;
  if (/Operation not permitted|EPERM/.test(words)) {
    return `${told}\nThis needs the capability NET_ADMIN in the pod's network namespace, and user 0 to have it.`;
  }
  if (/Operation not supported|No such file or directory|Protocol not supported/.test(words)) {
    return `${told}\nThe kernel of this node lacks nftables with NAT (modules nf_tables, nft_chain_nat, nft_redir).`;
  }
  return told;
}
