// Options of pcapng blocks: code, length, value, padding to four bytes. draft-ietf-opsawg-pcapng 3.5.

import { Option } from './format.ts';

/** Bytes of `length` with the padding behind them; `length` up to 2^32. */
export function padded(length: number): number {
  return length + (-length & 3);
}

/** Walks over the options of one block. */
export class Options {
  /** Of the option that next() has found: its code, and its value at [at, at+length). */
  code = 0;
  at = 0;
  length = 0;
  /** Set when an option reaches beyond the block: its length. */
  tooLong = -1;
  private view: DataView = new DataView(new ArrayBuffer(0));
  private littleEndian = true;
  private from = 0;
  private end = 0;

  /** The options are at [from, end). */
  start(view: DataView, from: number, end: number, littleEndian: boolean): void {
    this.view = view;
    this.from = from;
    this.end = end;
    this.littleEndian = littleEndian;
    this.tooLong = -1;
  }

  /** Steps to the next option; false when there is none. */
  next(): boolean {
    const { view, from, end, littleEndian } = this;
    if (end - from < 4) return false;
    this.code = view.getUint16(from, littleEndian);
    this.length = view.getUint16(from + 2, littleEndian);
    this.at = from + 4;
    if (this.code === Option.End) return false;
    if (this.at + this.length > end) {
      this.tooLong = this.length;
      return false;
    }
    this.from = this.at + padded(this.length);
    return true;
  }

  /** The value as text, what is beyond its first `most` bytes cut off between two characters. */
  text(most: number = this.length): string {
    const { view, at, length } = this;
    let len = Math.min(length, most);
    // RFC 3629 3: bytes within a character begin with 10, and there are three at most.
    while (len < length && len > Math.max(most - 3, 0) && (view.getUint8(at + len) & 0xc0) === 0x80) len--;
    return utf8Text(view, at, len);
  }
}

/** [off, off+len) as UTF-8; what is none of it becomes U+FFFD. The core has no TextDecoder. RFC 3629. */
export function utf8Text(view: DataView, off: number, len: number): string {
  const end = off + len;
  const parts: string[] = [];
  for (let at = off; at < end; ) {
    const size = sequenceLen(view, at, end);
    parts.push(size === 0 ? '\ufffd' : String.fromCodePoint(codePoint(view, at, size)));
    at += Math.max(size, 1);
  }
  return parts.join('');
}

/** Length of the well-formed sequence at `at`, 0 when there is none. */
function sequenceLen(view: DataView, at: number, end: number): number {
  const first = view.getUint8(at);
  if (first < 0x80) return 1;
  const size = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (size === 0 || at + size > end) return 0;
  for (let i = 1; i < size; i++) if ((view.getUint8(at + i) & 0xc0) !== 0x80) return 0;
  const code = codePoint(view, at, size);
  const isSurrogate = code >= 0xd800 && code < 0xe000;
  const isShort = code < (size === 2 ? 0x80 : size === 3 ? 0x800 : 0x10000);
  return isShort || isSurrogate || code > 0x10ffff ? 0 : size;
}

function codePoint(view: DataView, at: number, size: number): number {
  const first = view.getUint8(at);
  if (size === 1) return first;
  let code = first & (0x7f >>> size);
  for (let i = 1; i < size; i++) code = (code << 6) | (view.getUint8(at + i) & 0x3f);
  return code;
}
