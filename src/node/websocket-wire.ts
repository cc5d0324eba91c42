// The headers of WebSocket messages that a server sends: RFC 6455 5.2, never masked. Four bytes are enough for any frame,
// so that they take the place of the length that a batch has before it.

import type { Memory } from '../base/memory.ts';
import { PREFIX_LEN } from '../link/framing.ts';

/** FIN and the opcode of a binary message. */
const BINARY = 0x82;
/** A length of 16 bits follows, or one of 64. The fewest bytes that do have to be used. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;
/** The empty Pong, which may come unasked and calls for nothing (5.5.3): it fills up what a short header leaves free. */
const PONG = 0x8a00;
const SHORT = BINARY << 8;

/**
 * Each frame of [off, end), the length before it 0..65535, becomes a message of its own: the lengths are written over.
 */
export function framesToMessages({ view }: Memory, off: number, end: number): void {
  for (let at = off; at < end; ) {
    const len = view.getUint32(at);
    const header = len < LENGTH_16 ? PONG * 0x10000 + SHORT + len : (SHORT + LENGTH_16) * 0x10000 + len;
    view.setUint32(at, header);
    at += PREFIX_LEN + len;
  }
}

/** Calls `show` for each frame of a batch that framesToMessages() has made messages of. */
export function eachMessage(
  { view }: Memory,
  off: number,
  end: number,
  show: (off: number, len: number) => void,
): void {
  for (let at = off; at < end; ) {
    const len = view.getUint16(at) === PONG ? view.getUint8(at + 3) : view.getUint16(at + 2);
    show(at + PREFIX_LEN, len);
    at += PREFIX_LEN + len;
  }
}

/** Before a message of `len` bytes that are written behind it. */
export function streamHeader(len: number): Buffer {
  if (len < LENGTH_16) return Buffer.from([BINARY, len]);
  const header = Buffer.alloc(len <= 0xffff ? 4 : 10);
  header[0] = BINARY;
  header[1] = len <= 0xffff ? LENGTH_16 : LENGTH_64;
  if (len <= 0xffff) header.writeUInt16BE(len, 2);
  else header.writeUInt32BE(len, 6);
  return header;
}
