// An extension of wisp that is ours, for what plain wisp cannot say. There a client has no way to slow down the server, so
// that what a guest does not read piles up in the page; and a stream can be closed only as a whole, so that a guest
// which has sent its FIN loses what the server still has to say. Where both sides offer the extension:
//
// - credit counts both ways. Each side says in its INFO how many packets of a TCP stream it buffers, and CONTINUE comes
//   from the client too;
// - DATA without a payload ends its direction of a TCP stream, and a stream whose directions have both ended is over.
//   CLOSE then means a reset, or a failure.
//
// Others skip it, as the specification wants for what they do not know. Metadata: a tag, because the numbers of extensions
// belong to nobody, and the packets.

import { viewOf } from '../wire/bytes.ts';
import { type Extension, ExtensionId } from './wisp.ts';

const TAG = 0x74656e75;
/** What a side may grant; the rest of 32 bits is an error, or an attack on who believes it. */
const MAX_PACKETS = 65_536;

/** The extension of a side that buffers `packets` of each TCP stream. */
export function duplexOffer(packets: number): Extension {
  const payload = new Uint8Array(8);
  const v = viewOf(payload);
  v.setUint32(0, TAG, true);
  v.setUint32(4, packets, true);
  return { id: ExtensionId.Duplex, payload };
}

/** The packets that the other side buffers, or 0: it does not offer the extension. */
export function duplexCredit(offered: readonly Extension[]): number {
  const payload = offered.find(({ id }) => id === ExtensionId.Duplex)?.payload;
  if (payload?.length !== 8) return 0;
  const v = viewOf(payload);
  if (v.getUint32(0, true) !== TAG) return 0;
  return Math.min(v.getUint32(4, true), MAX_PACKETS);
}
