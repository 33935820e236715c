import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { meshImage } from '../../image/build.ts';
import { bundle } from '../../image/bundle.ts';
import { version } from '../../runtime/resources/index.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { containerdSocket } from './paths.ts';

const next = '0.1.99';

/** What the next version says in conditions where this one says something else. */
export const words = { now: 'is not there', next: 'does not exist yet' };

/**
 * Puts an image of a version to come into the cluster: it has another version string and other words in conditions.
 *
 * @returns its name
 */
export async function importNextVersion(): Promise<string> {
  const { files } = await bundle();
  const changed = new Map(
    [...files].map(([name, content]) => {
      if (!name.endsWith('.js')) return [name, content];
      const text = Buffer.from(content).toString('utf8');
      return [name, Buffer.from(text.replaceAll(version, next).replaceAll(words.now, words.next))];
    }),
  );
  const tag = `meshwright/meshwright:${next}`;
  const { chunks } = await meshImage(tag, changed);
  using directory = new TemporaryDirectory();
  const archive = join(directory.path, 'image.tar');
  writeFileSync(archive, Buffer.concat(chunks));
  execFileSync('ctr', ['-a', containerdSocket, '-n', 'k8s.io', 'image', 'import', archive], { stdio: 'ignore' });
  return tag;
}
