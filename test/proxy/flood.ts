import { eventually } from '../support/eventually.ts';
import { startRawApp } from './mesh.ts';

/** An application that answers the first words with `greeting`, and writes from then on whatever it may. */
export async function startFlood(greeting: string) {
  let sent = 0;
  const chunk = Buffer.alloc(65_536);
  const port = await startRawApp((socket) => {
    socket.once('data', () => {
      socket.write(greeting);
      const more = (): void => {
        while (sent < 200_000_000 && socket.write(chunk)) sent += chunk.length;
        socket.once('drain', more);
      };
      more();
    });
  });
  /** The bytes it could write, once they stay the same for a while. */
  const settled = async (): Promise<number> => {
    let before = -1;
    let same = 0;
    await eventually(() => {
      same = sent === before ? same + 1 : 0;
      before = sent;
      return same >= 20;
    });
    return sent;
  };
  return { port, settled };
}
