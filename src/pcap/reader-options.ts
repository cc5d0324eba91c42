// Options of pcapng blocks: code, length, value, padding to four bytes. draft-ietf-opsawg-pcapng 3.5.

import { utf8Text } from '../base/utf8.ts';
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
