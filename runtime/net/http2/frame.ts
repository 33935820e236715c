/** Frame types (RFC 9113 section 6). */
export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  ResetStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  GoAway: 7,
  WindowUpdate: 8,
  Continuation: 9,
} as const;

export const Flag = { Ack: 0x1, EndStream: 0x1, EndHeaders: 0x4, Padded: 0x8, Priority: 0x20 } as const;

/** Identifiers of settings (RFC 9113 section 6.5.2, RFC 8441 section 3). */
export const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
  EnableConnectProtocol: 8,
} as const;

/** Error codes (RFC 9113 section 7). */
export const ErrorCode = {
  NoError: 0,
  ProtocolError: 1,
  InternalError: 2,
  FlowControlError: 3,
  SettingsTimeout: 4,
  StreamClosed: 5,
  FrameSizeError: 6,
  RefusedStream: 7,
  Cancel: 8,
  CompressionError: 9,
  EnhanceYourCalm: 11,
} as const;

export const frameHeadSize = 9;
/** Frame payload every peer takes before it says otherwise. */
export const defaultMaxFrameSize = 16_384;
/** Flow-control window of everything before somebody says otherwise. */
export const defaultWindow = 65_535;
export const maxWindow = 0x7fff_ffff;
export const maxStreamId = 0x7fff_ffff;

/** What a client says first. */
export const clientPreface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** The peer broke the protocol so that the whole connection must go. */
export class ConnectionError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'ConnectionError';
    this.code = code;
  }
}

export function protocolError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.ProtocolError, message);
}

export function frameSizeError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.FrameSizeError, message);
}
