// Segments changed on their way out, their checksums mended: peers that do not know an option, mark bytes as urgent, or
// take back a window they have offered.

import { Flag } from '../../src/wire/tcp.ts';

const FLAGS = 12;
const WINDOW = 14;
const CHECKSUM = 16;
const URGENT = 18;

/** Replaces options of these kinds by NOPs in a SYN. */
export function stripSynOptions(bytes: Uint8Array, kinds: readonly number[]): void {
  if (!(bytes[13]! & Flag.Syn)) return;
  const v = viewOf(bytes);
  const end = (bytes[12]! >>> 4) << 2;
  for (let at = 20; at < end; ) {
    const kind = bytes[at]!;
    const len = kind <= 1 ? 1 : bytes[at + 1]!;
    if (kinds.includes(kind)) {
      for (let i = at & ~1; i < at + len; i += 2) {
        const high = i >= at ? 1 : bytes[i]!;
        const low = i + 1 < at + len ? 1 : bytes[i + 1]!;
        put(v, i, (high << 8) | low);
      }
    }
    at += len;
  }
}

/** RFC 9293 3.8.5: URG with a pointer of `pointer`. */
export function setUrgent(bytes: Uint8Array, pointer: number): void {
  const v = viewOf(bytes);
  put(v, FLAGS, v.getUint16(FLAGS) | Flag.Urg);
  put(v, URGENT, pointer);
}

/** Says a window field no larger than `most`. */
export function limitWindow(bytes: Uint8Array, most: number): void {
  const v = viewOf(bytes);
  put(v, WINDOW, Math.min(v.getUint16(WINDOW), most));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** RFC 1624 3: the checksum changes by as much as the word did. */
function put(v: DataView, at: number, word: number): void {
  let sum = (~v.getUint16(CHECKSUM) & 0xffff) + (~v.getUint16(at) & 0xffff) + word;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  v.setUint16(at, word);
  v.setUint16(CHECKSUM, ~sum & 0xffff);
}
