import { LineCounter, parseDocument } from 'yaml';
import { type Finding, finding } from '../model/index.ts';
import type { KubernetesObject } from './objects.ts';
import { parseObject } from './parse.ts';

/** What a manifest file holds. */
export interface Manifest {
  readonly objects: readonly KubernetesObject[];
  readonly findings: readonly Finding[];
}

/** Objects by the text of their document, so that only documents that changed are parsed again. */
export type ParsedDocuments = ReadonlyMap<string, readonly KubernetesObject[]>;

/** More aliases than this in one document are an attack (a "billion laughs"), not a manifest. */
const maxAliases = 100;

/**
 * Reads the YAML (or JSON) documents of a file.
 *
 * @param path - named in findings, with the line
 * @param known - documents of the version before
 */
export function parseManifest(
  text: string,
  path: string,
  known: ParsedDocuments = new Map(),
): Manifest & { readonly documents: ParsedDocuments } {
  const objects: KubernetesObject[] = [];
  const findings: Finding[] = [];
  const documents = new Map<string, readonly KubernetesObject[]>();
  for (const { text: document, line } of splitDocuments(text)) {
    const before = findings.length;
    const parsed = known.get(document) ?? parseOne(document, path, line, findings);
    // What gave findings is parsed each time, so that they are given each time.
    if (findings.length === before) documents.set(document, parsed);
    objects.push(...parsed);
  }
  return { objects, findings, documents };
}

function parseOne(text: string, path: string, firstLine: number, findings: Finding[]): KubernetesObject[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fail = (message: string, line: number) => {
    findings.push(
      finding('MW1001', {
        message,
        hint: 'correct the YAML',
        object: `${path}:${line}`,
      }),
    );
    return [];
  };
  const [error] = document.errors;
  if (error) return fail(error.message, firstLine + lines.linePos(error.pos[0]).line - 1);
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: maxAliases });
  } catch (problem) {
    return fail((problem as Error).message, firstLine);
  }
  if (raw === null || raw === undefined) return [];

  const [start] = document.contents?.range ?? [0];
  const source = `${path}:${firstLine + Math.max(lines.linePos(start).line, 1) - 1}`;
  return itemsOf(raw).flatMap((item) => {
    const result = parseObject(item, source);
    findings.push(...(result.findings ?? []));
    return result.object ?? [];
  });
}

/** `kubectl get -o yaml` wraps objects into a List. */
function itemsOf(raw: unknown): readonly unknown[] {
  const { kind, items } = raw as { kind?: unknown; items?: unknown };
  return kind === 'List' && Array.isArray(items) ? items : [raw];
}

function* splitDocuments(text: string): Generator<{ text: string; line: number }> {
  let start = 0;
  let line = 1;
  for (const separator of text.matchAll(/^---(?=\s|$)/gm)) {
    if (separator.index === start) continue;
    const document = text.slice(start, separator.index);
    yield { text: document, line };
    for (const character of document) if (character === '\n') line++;
    start = separator.index;
  }
  yield { text: text.slice(start), line };
}
