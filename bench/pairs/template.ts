import { readFile } from 'node:fs/promises';
import type { Workspace } from '../host/workspace.ts';

type Values = Readonly<Record<string, string | number>>;

/** Replaces every `$NAME` in capitals by its value. A name without a value is an error, not an empty text. */
export function fillTemplate(template: string, values: Values): string {
  return template.replace(/\$([A-Z]+)\b/g, (_, name: string) => {
    if (!Object.hasOwn(values, name)) {
      throw new Error(`expected one of ${Object.keys(values).join(', ')} in the template, got $${name}`);
    }
    return String(values[name]);
  });
}

/** Fills a template of bench/peers and writes it into the working directory; gives its path. */
export async function writeFilled(workspace: Workspace, file: string, values: Values): Promise<string> {
  const template = await readFile(new URL(`../peers/${file}`, import.meta.url), 'utf8');
  return workspace.write(file, fillTemplate(template, values));
}
