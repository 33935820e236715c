import { isDeepStrictEqual } from 'node:util';
import {
  type Document,
  type DocumentOptions,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParseOptions,
  parseDocument,
  type ScalarTag,
  type SchemaOptions,
  type ToStringOptions,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { type Finding, finding } from '../model/index.ts';
import { injectObjects, type ObjectInjection } from './inject-objects.ts';
import type { InjectionSettings } from './settings.ts';

export interface ManifestInjection {
  /** The YAML, with what was added. Documents without change are byte for byte as they were. */
  readonly text: string;
  /** What became of each object that has pods. */
  readonly objects: readonly ObjectInjection[];
  /** What is wrong with the YAML itself. */
  readonly findings: readonly Finding[];
}

/** More aliases than this in one document are an attack (a "billion laughs"), not a manifest. */
const maxAliases = 100;

type Raw = Readonly<Record<string, unknown>>;

/**
 * Puts proxies beside the pods of manifests. Comments stay, and so does the way things are written, as far as a
 * document that changes allows.
 *
 * @param source - names the text in findings: a path
 */
export function injectManifests(text: string, source: string, settings: InjectionSettings): ManifestInjection {
  const findings: Finding[] = [];
  const objects: ObjectInjection[] = [];
  let line = 1;
  const documents = text.split(/^(?=---(?:\s|$))/m).map((original) => {
    const result = injectDocument(original, settings);
    objects.push(...result.objects);
    if (result.problem) {
      const object = `${source}:${line + result.problem.line - 1}`;
      findings.push(finding('MW1001', { message: result.problem.message, hint: 'correct the YAML', object }));
    }
    line += original.split('\n').length - 1;
    return result.text;
  });
  return { text: documents.join(''), objects, findings };
}

interface DocumentInjection {
  readonly text: string;
  readonly objects: readonly ObjectInjection[];
  readonly problem?: { readonly message: string; readonly line: number };
}

function injectDocument(text: string, settings: InjectionSettings): DocumentInjection {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { ...yamlOfKubernetes, lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (error) {
    return { text, objects: [], problem: { message: error.message, line: lineCounter.linePos(error.pos[0]).line } };
  }
  let before: unknown;
  try {
    before = document.toJS({ maxAliasCount: maxAliases });
  } catch (problem) {
    return { text, objects: [], problem: { message: (problem as Error).message, line: 1 } };
  }
  const { value: after, objects } = injectObjects(before, settings);
  if (isDeepStrictEqual(before, after)) return { text, objects };
  if (isJson(text)) return { text: `${JSON.stringify(after, undefined, 2)}\n`, objects };
  update(document, document.contents, before, after);
  // An alias may share with one object what was changed in another; then each gets its own, without comments.
  if (!isDeepStrictEqual(document.toJS(), after))
    document.contents = create(document, after) as typeof document.contents;
  return { text: document.toString(styleOf(text)), objects };
}

/** How the text is written, as far as one can choose. */
function styleOf(text: string): ToStringOptions {
  return {
    lineWidth: 0,
    indentSeq: !/^( *)[^\s#-][^\n]*:\n\1- /m.test(text),
    flowCollectionPadding: !/[{[][^\s{}[\]]/.test(text),
  };
}

/**
 * YAML as `kubectl` reads it: version 1.1 (`yes` is true, `0644` octal), without its times and dates. Numbers are
 * written as they were.
 */
const yamlOfKubernetes: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  // `y` and `Y` mean the same there, but are not the same key to who wrote them.
  uniqueKeys: (a, b) => isScalar(a) && isScalar(b) && a.source === b.source,
  customTags: (tags) =>
    tags
      .filter((tag) => typeof tag === 'string' || (tag.format !== 'TIME' && !tag.tag.endsWith(':timestamp')))
      .map((tag) => {
        if (typeof tag === 'string' || tag.collection || !/:(int|float)$/.test(tag.tag)) return tag;
        const { stringify } = tag as ScalarTag;
        return {
          ...tag,
          stringify: (item, ...rest) => item.source ?? stringify?.(item, ...rest) ?? String(item.value),
        };
      }),
};

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Changes only the nodes of what differs. */
function update(document: Document, node: unknown, before: unknown, after: unknown): void {
  if (isMap(node) && isRecord(before) && isRecord(after)) updateMap(document, node, before, after);
  else if (isSeq(node) && Array.isArray(before) && Array.isArray(after)) updateList(document, node, before, after);
}

function updateMap(document: Document, node: YAMLMap, before: Raw, after: Raw): void {
  // What was on one line would get too long for one.
  node.flow = false;
  for (const key of Object.keys(before)) if (!(key in after)) node.delete(key);
  for (const [key, value] of Object.entries(after)) {
    if (isDeepStrictEqual(before[key], value)) continue;
    const child = node.get(key, true);
    if (isMatch(child, before[key], value)) update(document, child, before[key], value);
    else node.set(key, create(document, value));
  }
}

/** Matches entries by their name; where the number of entries stays, by their place. */
function updateList(document: Document, node: YAMLSeq, before: readonly unknown[], after: readonly unknown[]): void {
  // What was on one line would get too long for one.
  node.flow = false;
  const placeOf = (value: unknown, index: number) =>
    before.length === after.length ? index : before.findIndex((other) => nameOf(other) === nameOf(value));
  node.items = after.map((value, index) => {
    const place = placeOf(value, index);
    const child = node.items[place];
    if (place < 0 || !isMatch(child, before[place], value)) return create(document, value);
    if (!isDeepStrictEqual(before[place], value)) update(document, child, before[place], value);
    return child;
  });
}

function isMatch(node: unknown, before: unknown, after: unknown): boolean {
  if (isDeepStrictEqual(before, after)) return true;
  if (isMap(node)) return isRecord(before) && isRecord(after);
  return isSeq(node) && Array.isArray(before) && Array.isArray(after);
}

function create(document: Document, value: unknown) {
  return document.createNode(value, { aliasDuplicateObjects: false });
}

function nameOf(value: unknown): unknown {
  return isRecord(value) ? value.name : value;
}

function isRecord(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
