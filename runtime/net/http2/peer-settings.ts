import {
  ConnectionError,
  defaultMaxFrameSize,
  defaultWindow,
  ErrorCode,
  frameSizeError,
  maxWindow,
  protocolError,
  Setting,
} from './frame.ts';
import { defaultTableSize } from './hpack/table.ts';

const maxEntries = 32;
const largestFrameSize = 0xff_ffff;

/** What the peer asks of us (RFC 9113 section 6.5.2). */
export class PeerSettings {
  headerTableSize = defaultTableSize;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindow = defaultWindow;
  maxFrameSize = defaultMaxFrameSize;
  /** A server that takes upgrades (RFC 8441). */
  takesUpgrades = false;
  readonly #pushAllowed: boolean;

  /** `pushAllowed`: the peer is a client, which may enable push. */
  constructor(pushAllowed: boolean) {
    this.#pushAllowed = pushAllowed;
  }

  /** Reads the payload of a SETTINGS frame; of a value that comes twice, the last one counts. */
  read(payload: Buffer, start: number, end: number): void {
    if ((end - start) % 6 !== 0) throw frameSizeError('SETTINGS holds a broken entry');
    if (end - start > maxEntries * 6) throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too many settings');
    for (let at = start; at < end; at += 6) this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }

  #set(setting: number, value: number): void {
    switch (setting) {
      case Setting.HeaderTableSize:
        this.headerTableSize = value;
        break;
      case Setting.EnablePush:
        if (value > (this.#pushAllowed ? 1 : 0)) throw protocolError('SETTINGS_ENABLE_PUSH is out of range');
        break;
      case Setting.MaxConcurrentStreams:
        this.maxConcurrentStreams = value;
        break;
      case Setting.InitialWindowSize:
        if (value > maxWindow) {
          throw new ConnectionError(ErrorCode.FlowControlError, 'SETTINGS_INITIAL_WINDOW_SIZE is out of range');
        }
        this.initialWindow = value;
        break;
      case Setting.MaxFrameSize:
        if (value < defaultMaxFrameSize || value > largestFrameSize) {
          throw protocolError('SETTINGS_MAX_FRAME_SIZE is out of range');
        }
        this.maxFrameSize = value;
        break;
      case Setting.EnableConnectProtocol:
        if (value > 1 || (this.takesUpgrades && value === 0)) {
          throw protocolError('SETTINGS_ENABLE_CONNECT_PROTOCOL is out of range');
        }
        this.takesUpgrades = value === 1;
        break;
    }
  }
}
