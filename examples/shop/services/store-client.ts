import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** Speaks the line protocol of cart-store over one connection, opened when needed. */
export class StoreClient {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;
  #waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  async get(key: string): Promise<string | undefined> {
    const reply = await this.#send(`GET ${key}`);
    return reply.startsWith('VALUE ') ? reply.slice('VALUE '.length) : undefined;
  }

  async set(key: string, value: string): Promise<void> {
    await this.#send(`SET ${key} ${value}`);
  }

  async delete(key: string): Promise<void> {
    await this.#send(`DEL ${key}`);
  }

  #send(line: string): Promise<string> {
    const socket = this.#socket ?? this.#connect();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      socket.write(`${line}\n`);
    });
  }

  #connect(): Socket {
    const socket = connect(this.#port, this.#host);
    this.#socket = socket;
    let greeted = false;
    createInterface(socket)
      .on('line', (line) => {
        if (greeted) this.#waiting.shift()?.resolve(line);
        else greeted = true;
      })
      .on('error', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#socket = undefined;
      const lost = this.#waiting;
      this.#waiting = [];
      for (const { reject } of lost) reject(new Error('the cart store closed the connection'));
    });
    return socket;
  }
}
