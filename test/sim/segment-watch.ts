// What must hold of every segment that is sent, whatever the state: it lies within what the other end has offered, and
// its window does not take back what was offered before.

import { assert } from '../../src/base/assert.ts';
import type { Tcb } from '../../src/tcp/tcb.ts';
import { Flag } from '../../src/wire/tcp.ts';

/** Of one end: what it has offered so far. */
export class SegmentWatch {
  /** Rightmost edge ever offered. */
  private edge = 0;
  private edgeKnown = false;

  /** `bytes` is about to be sent by `tcb`; `other` watches the far end. */
  check(tcb: Tcb, bytes: Uint8Array, other: SegmentWatch): void {
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const flags = v.getUint8(13);
    const len = bytes.length - ((v.getUint8(12) >>> 4) << 2) + (flags & Flag.Fin);
    if (other.edgeKnown && len > 0) {
      // One byte more: a probe of a closed window, or a FIN.
      const beyond = (v.getInt32(4) + len - other.edge) | 0;
      assert(beyond <= 1, `sent ${beyond} bytes beyond the window`);
    }
    if (flags & Flag.Rst || !(flags & Flag.Ack)) return;
    const shift = flags & Flag.Syn ? 0 : tcb.rcvWindShift;
    const edge = (v.getInt32(8) + (v.getUint16(14) << shift)) | 0;
    const moved = this.edgeKnown ? (edge - this.edge) | 0 : 0;
    assert(moved > -(1 << shift), `the window's right edge moved left by ${-moved}`);
    if (!this.edgeKnown || moved > 0) this.edge = edge;
    this.edgeKnown = true;
  }
}

/** Replaces options of these kinds by NOPs in a SYN, and mends its checksum: a peer that does not know them. */
export function stripSynOptions(bytes: Uint8Array, kinds: readonly number[]): void {
  if (!(bytes[13]! & Flag.Syn)) return;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = (bytes[12]! >>> 4) << 2;
  const before = sumOf(v, end);
  for (let at = 20; at < end; ) {
    const kind = bytes[at]!;
    const len = kind <= 1 ? 1 : bytes[at + 1]!;
    if (kinds.includes(kind)) bytes.fill(1, at, at + len);
    at += len;
  }
  // RFC 1624: the checksum changes by as much as the words did.
  let sum = (~v.getUint16(16) & 0xffff) + sumOf(v, end) + (~before & 0xffff);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  v.setUint16(16, ~sum & 0xffff);
}

/** One's-complement sum of the options. */
function sumOf(v: DataView, end: number): number {
  let sum = 0;
  for (let at = 20; at < end; at += 2) sum += v.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
