import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FindingsError, finding } from '../model/index.ts';

/** A program that describes a mesh. */
export interface App {
  /** Name of its state directory: that of its folder, or of its file. */
  readonly name: string;
  /** The file that is run to synthesise it. */
  readonly entry: string;
  /** The folder of `entry`. */
  readonly folder: string;
  /** The nearest folder upwards with a package.json: where the workloads' commands run. */
  readonly packageRoot: string;
}

const entryName = 'main.ts';

/** Finds an app by the path of its folder or file. Throws a {@link FindingsError} where there is none. */
export function locateApp(path: string): App {
  const given = resolve(path);
  const stat = statSync(given, { throwIfNoEntry: false });
  const entry = stat?.isDirectory() ? join(given, entryName) : given;
  if (!stat || !existsSync(entry)) {
    throw new FindingsError([
      finding('MW1515', {
        message: stat ? `${path} has no ${entryName}` : `${path} is not there`,
        hint: `name a folder with a ${entryName}, or the file itself: meshwright up examples/shop`,
      }),
    ]);
  }
  const folder = dirname(entry);
  const name = stat.isDirectory() ? basename(folder) : basename(entry).replace(/\.[cm]?[jt]s$/, '');
  return { name, entry, folder, packageRoot: packageRootOf(folder) };
}

function packageRootOf(folder: string): string {
  for (let current = folder; ; current = dirname(current)) {
    if (existsSync(join(current, 'package.json'))) return current;
    if (current === dirname(current)) return folder;
  }
}
