import type { Memory } from '../base/memory.ts';
import * as tcp from '../wire/tcp.ts';
import { TcpOptions } from '../wire/tcp-options.ts';

/**
 * The segment being processed: fields of its header, its options, and where its payload is. One per network, refilled
 * for every segment; do not store it. Names as in RFC 9293 3.3.1, so SEG.SEQ is segment.seq.
 */
export class Segment {
  seq = 0;
  ack = 0;
  /** As sent; scale with sndWindShift unless SYN is set. */
  wnd = 0;
  /** wire/tcp Flag bits. */
  flags = 0;
  /** Payload is [payload, payload + payloadLen) in the arena, lent for the call. */
  payload = 0;
  payloadLen = 0;
  readonly options = new TcpOptions();

  /** SEG.LEN: payload, plus one for SYN, plus one for FIN. */
  get len(): number {
    return this.payloadLen + ((this.flags >> 1) & 1) + (this.flags & 1);
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** Reads the segment at [off, end), whose shape tcp.checkShape() has accepted. */
  read(memory: Memory, off: number, end: number): void {
    const v = memory.view;
    const header = tcp.headerLen(v, off);
    this.seq = tcp.seq(v, off);
    this.ack = tcp.ack(v, off);
    this.wnd = tcp.window(v, off);
    this.flags = tcp.flags(v, off);
    this.payload = off + header;
    this.payloadLen = end - off - header;
    if (header > tcp.MIN_HEADER_LEN) this.options.parse(v, off + tcp.MIN_HEADER_LEN, off + header);
    else this.options.clear();
  }
}
