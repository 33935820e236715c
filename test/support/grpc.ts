import {
  type CallOptions,
  Client,
  credentials,
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

const text = { serialize: (value: string) => Buffer.from(value), deserialize: (bytes: Buffer) => bytes.toString() };
const types = {
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
};
const base = '/test.Talk/';

/** All kinds of calls there are, about strings. */
const service = {
  Unary: { path: `${base}Unary`, requestStream: false, responseStream: false, ...types },
  Upload: { path: `${base}Upload`, requestStream: true, responseStream: false, ...types },
  Download: { path: `${base}Download`, requestStream: false, responseStream: true, ...types },
  Chat: { path: `${base}Chat`, requestStream: true, responseStream: true, ...types },
};

/** An application that is a gRPC server of others' making, on a free port. */
export async function startTalk(implementation: UntypedServiceImplementation) {
  const server = new Server();
  server.addService(service, implementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  return { port, close: () => server.forceShutdown() };
}

/** What a unary call came to. */
export interface CallResult {
  readonly value?: string;
  readonly code: number;
  readonly details?: string;
  readonly metadata?: Metadata;
}

/** A gRPC client of others' making. */
export class TalkClient {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      // What the mesh repeats is under test, not what this client does.
      'grpc.enable_retries': 0,
    });
  }

  unary(value: string, metadata: Metadata, options: CallOptions = {}, method = 'Unary'): Promise<CallResult> {
    return new Promise((resolve) => {
      const done = (error: ServiceError | null, answer?: string): void =>
        resolve(
          error ? { code: error.code, details: error.details, metadata: error.metadata } : { code: 0, value: answer },
        );
      const { serialize, deserialize } = text;
      this.#client.makeUnaryRequest(`${base}${method}`, serialize, deserialize, value, metadata, options, done);
    });
  }

  upload(metadata: Metadata, done: (error: ServiceError | null, answer?: string) => void) {
    return this.#client.makeClientStreamRequest(`${base}Upload`, text.serialize, text.deserialize, metadata, {}, done);
  }

  download(value: string, metadata: Metadata, options: CallOptions = {}) {
    const { serialize, deserialize } = text;
    return this.#client.makeServerStreamRequest(`${base}Download`, serialize, deserialize, value, metadata, options);
  }

  chat(metadata: Metadata, options: CallOptions = {}) {
    return this.#client.makeBidiStreamRequest(`${base}Chat`, text.serialize, text.deserialize, metadata, options);
  }

  close(): void {
    this.#client.close();
  }
}
