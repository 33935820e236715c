import type { Cors, HeaderChange, HttpMatch, PathChange, Redirect, Rewrite } from '../../model/index.ts';
import type { HeaderModifier, HttpRouteFilter, PathModifier } from '../../resources/index.ts';
import { corsOf, corsProblem } from './cors.ts';
import { firstOfEachName } from './matches.ts';
import { headerProblem, pathProblem } from './values.ts';

/** What the filters of one rule ask for, mirrors aside. */
export interface FilterResult {
  readonly requestHeaders?: HeaderChange;
  readonly responseHeaders?: HeaderChange;
  readonly rewrite?: Rewrite;
  readonly redirect?: Redirect;
  readonly cors?: Cors;
  /** Why the rule cannot be carried out. */
  readonly problem?: { readonly reason: 'UnsupportedValue' | 'IncompatibleFilters'; readonly message: string };
}

const unsupported: readonly HttpRouteFilter['type'][] = ['ExternalAuth', 'ExtensionRef'];

export function translateFilters(filters: readonly HttpRouteFilter[], matches: readonly HttpMatch[]): FilterResult {
  const fail = (reason: 'UnsupportedValue' | 'IncompatibleFilters', message: string): FilterResult => ({
    problem: { reason, message },
  });
  const types = filters.map(({ type }) => type);
  const foreign = types.find((type) => unsupported.includes(type));
  if (foreign) return fail('UnsupportedValue', `filter ${foreign} is not supported`);
  const twice = types.find((type, index) => type !== 'RequestMirror' && types.indexOf(type) !== index);
  if (twice) return fail('IncompatibleFilters', `filter ${twice} stands twice in the rule`);
  if (types.includes('RequestRedirect') && types.includes('URLRewrite')) {
    return fail('IncompatibleFilters', 'a rule cannot both redirect and rewrite');
  }

  const requestHeaders = filters.find(({ type }) => type === 'RequestHeaderModifier')?.requestHeaderModifier;
  const responseHeaders = filters.find(({ type }) => type === 'ResponseHeaderModifier')?.responseHeaderModifier;
  const rewrite = filters.find(({ type }) => type === 'URLRewrite')?.urlRewrite;
  const redirect = filters.find(({ type }) => type === 'RequestRedirect')?.requestRedirect;
  const cors = filters.find(({ type }) => type === 'CORS');
  const replacesPrefix = (rewrite ?? redirect)?.path?.type === 'ReplacePrefixMatch';
  if (replacesPrefix && matches.some(({ path }) => path.kind !== 'prefix')) {
    return fail('UnsupportedValue', 'ReplacePrefixMatch needs every match of the rule to be of type PathPrefix');
  }
  const bad =
    (requestHeaders && headerProblem(requestHeaders)) ??
    (responseHeaders && headerProblem(responseHeaders)) ??
    pathProblem(rewrite?.path) ??
    pathProblem(redirect?.path) ??
    (cors && corsProblem(cors.cors));
  if (bad) return fail('UnsupportedValue', bad);
  return {
    ...(requestHeaders ? { requestHeaders: headerChange(requestHeaders) } : {}),
    ...(responseHeaders ? { responseHeaders: headerChange(responseHeaders) } : {}),
    ...(rewrite ? { rewrite: { ...hostOf(rewrite), ...pathOf(rewrite) } } : {}),
    ...(cors?.cors ? { cors: corsOf(cors.cors) } : {}),
    ...(redirect
      ? {
          redirect: {
            ...(redirect.scheme ? { scheme: redirect.scheme } : {}),
            ...hostOf(redirect),
            ...(redirect.port ? { port: redirect.port } : {}),
            ...pathOf(redirect),
            status: redirect.statusCode ?? 302,
          },
        }
      : {}),
  };
}

export function headerChange({ set = [], add = [], remove = [] }: HeaderModifier): HeaderChange {
  const lowered = ({ name, value }: { name: string; value: string }) => ({ name: name.toLowerCase(), value });
  return {
    set: firstOfEachName(set.map(lowered)),
    add: firstOfEachName(add.map(lowered)),
    remove: remove.map((name) => name.toLowerCase()),
  };
}

function hostOf({ hostname }: { hostname?: string }): { host?: string } {
  return hostname ? { host: hostname } : {};
}

function pathOf({ path }: { path?: PathModifier }): { path?: PathChange } {
  if (!path) return {};
  return path.type === 'ReplaceFullPath'
    ? { path: { kind: 'full', value: path.replaceFullPath ?? '/' } }
    : { path: { kind: 'prefix', value: path.replacePrefixMatch ?? '/' } };
}
