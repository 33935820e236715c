interface Metric {
  readonly head: string[];
  kind: string;
  readonly series: Map<string, number>;
}

/**
 * What several processes of one proxy expose, as one: values of the same series are added. For gauges that is right
 * where each counts its own, as requests under way or bytes of memory; of what there is once, one process tells.
 */
export function addUp(expositions: readonly string[]): string {
  const metrics = new Map<string, Metric>();
  for (const exposition of expositions) addTo(metrics, exposition);
  return write(metrics.values());
}

/** Of an exposition what a process has counted, which stays true when it is gone; not its gauges. */
export function countsOf(exposition: string): string {
  const metrics = new Map<string, Metric>();
  addTo(metrics, exposition);
  return write([...metrics.values()].filter(({ kind }) => kind !== 'gauge'));
}

function write(metrics: Iterable<Metric>): string {
  let text = '';
  for (const { head, series } of metrics) {
    for (const line of head) text += `${line}\n`;
    for (const [name, value] of series) text += `${name} ${value}\n`;
  }
  return text;
}

/** In the format that the registry writes: each metric's HELP and TYPE before its series. */
function addTo(metrics: Map<string, Metric>, exposition: string): void {
  let current: Metric | undefined;
  for (const line of exposition.split('\n')) {
    const about = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (about) {
      const [, what, name, text] = about;
      current = metrics.get(name) ?? { head: [], kind: '', series: new Map() };
      metrics.set(name, current);
      if (!current.head.includes(line)) current.head.push(line);
      if (what === 'TYPE') current.kind = text;
    } else if (current && line !== '') {
      // A label may hold spaces, a value does not.
      const end = line.lastIndexOf(' ');
      const name = line.slice(0, end);
      current.series.set(name, (current.series.get(name) ?? 0) + Number(line.slice(end + 1)));
    }
  }
}
