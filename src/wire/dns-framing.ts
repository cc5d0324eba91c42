// DNS over a stream: each message with its length in front. RFC 1035 4.2.2, RFC 7766 8.

import type { Memory } from '../base/memory.ts';
import { HEADER_LEN, setId } from './dns.ts';

/** Bytes of the length in front of a message. */
export const PREFIX_LEN = 2;

/** Puts messages together out of what a stream brings, however it is cut. */
export class MessageReader {
  /** The message that is complete, until clear(). */
  message: Uint8Array | null = null;
  /** A length that no message has, or that is over the limit: nothing after it can be read. */
  broken = false;
  private readonly limit: number;
  private prefix = 0;
  private prefixLen = 0;
  private body: Uint8Array | null = null;
  private filled = 0;

  /** Messages of more than `limit` bytes are refused. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Takes bytes of [off, off+len) up to the end of the message at most, and returns how many. */
  take(memory: Memory, off: number, len: number): number {
    let at = off;
    const end = off + len;
    while (this.prefixLen < PREFIX_LEN && at < end) {
      this.prefix = (this.prefix << 8) | memory.view.getUint8(at++);
      this.prefixLen++;
    }
    if (this.prefixLen < PREFIX_LEN) return len;
    if (this.body === null) {
      this.broken = this.prefix < HEADER_LEN || this.prefix > this.limit;
      if (this.broken) return len;
      this.body = new Uint8Array(this.prefix);
    }
    const n = Math.min(end - at, this.body.length - this.filled);
    this.body.set(memory.bytes.subarray(at, at + n), this.filled);
    this.filled += n;
    if (this.filled === this.body.length) this.message = this.body;
    return at + n - off;
  }

  /** Ready for the next message. */
  clear(): void {
    this.message = null;
    this.body = null;
    this.prefix = 0;
    this.prefixLen = 0;
    this.filled = 0;
  }
}

/** `message` with its length in front. */
export function framed(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(PREFIX_LEN + message.length);
  new DataView(out.buffer).setUint16(0, message.length);
  out.set(message, PREFIX_LEN);
  return out;
}

/** Writes `message` with its length in front and another id to `off`; the bytes written. */
export function writeFramed(memory: Memory, off: number, message: Uint8Array, id: number): number {
  memory.view.setUint16(off, message.length);
  memory.bytes.set(message, off + PREFIX_LEN);
  setId(memory.view, off + PREFIX_LEN, id);
  return PREFIX_LEN + message.length;
}
