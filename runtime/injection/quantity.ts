const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity (`100m`, `64Mi`, `1e9`) as a number; `undefined` where it is none, or negative. */
export function parseQuantity(text: string): number | undefined {
  const match = /^\+?(\d{1,15}(?:\.\d{0,9})?|\.\d{1,9})(?:([mkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?$/.exec(text);
  if (!match) return undefined;
  const [, number, suffix = '', exponent = '0'] = match;
  return Number(number) * suffixes[suffix] * 10 ** Number(exponent);
}
