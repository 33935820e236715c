import { clearScreenDown, moveCursor } from 'node:readline';
import type { WriteStream } from 'node:tty';
import { stripVTControlCharacters } from 'node:util';
import type { ServiceStats, ServiceView } from '../controller/index.ts';
import { askController } from '../local/index.ts';
import { formatTable } from './output.ts';
import { trafficCells, trafficTitles } from './traffic-table.ts';

const interval = 1000;

export interface LiveView {
  /** Prints a line above the view. */
  note(line: string): void;
  close(): void;
}

/** Shows the services of a mesh at the end of a terminal, and keeps that up to date. */
export function showLive(admin: string, terminal: WriteStream): LiveView {
  let shown = '';
  const erase = () => {
    moveCursor(terminal, 0, -screenLines(shown, terminal.columns));
    terminal.cursorTo(0);
    clearScreenDown(terminal);
  };
  const show = (text: string) => {
    erase();
    shown = text;
    terminal.write(text);
  };
  const refresh = async () => {
    try {
      const [services, stats] = await Promise.all([askController(admin, 'services'), askController(admin, 'stats')]);
      if (!closed) show(`\n${formatMesh(services, stats)}\n`);
    } catch {
      // The controller is being started again; what was shown stays.
    }
  };
  let closed = false;
  const timer = setInterval(() => void refresh(), interval);
  void refresh();
  return {
    note(line) {
      const view = shown;
      show('');
      terminal.write(`${line}\n`);
      show(view);
    },
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}

/** Each version of each service, whether it takes requests, and how they go. */
export function formatMesh(services: readonly ServiceView[], stats: readonly ServiceStats[]): string {
  const rows = services.flatMap(({ name, versions }) =>
    versions.map(({ version, endpoints }) => {
      const traffic = stats.find((row) => row.service === name && row.version === version) ?? { rps: 0 };
      return [name, version || '-', String(endpoints), ...trafficCells(traffic)];
    }),
  );
  return formatTable(['SERVICE', 'VERSION', 'READY', ...trafficTitles], rows);
}

function screenLines(text: string, columns: number): number {
  if (text === '') return 0;
  const lines = stripVTControlCharacters(text).split('\n').slice(0, -1);
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
}
