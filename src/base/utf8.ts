// Text as UTF-8, and back. RFC 3629. The core has no TextEncoder and no TextDecoder.

/** Of code points up to and including each, a byte more. */
const LONGEST = [0x7f, 0x7ff, 0xffff] as const;
const FIRST_BYTE = [0, 0xc0, 0xe0, 0xf0] as const;

/** The UTF-8 of `text`, at most `most` bytes where that is said: cut between two characters. Half a surrogate pair becomes U+FFFD. */
export function utf8Bytes(text: string, most = Number.POSITIVE_INFINITY): Uint8Array {
  const bytes: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0)!;
    const isHalf = code >= 0xd800 && code < 0xe000;
    const before = bytes.length;
    pushCodePoint(bytes, isHalf ? 0xfffd : code);
    if (bytes.length > most) {
      bytes.length = before;
      break;
    }
  }
  return Uint8Array.from(bytes);
}

function pushCodePoint(bytes: number[], code: number): void {
  const more = LONGEST.filter((longest) => code > longest).length;
  bytes.push(FIRST_BYTE[more]! | (code >>> (6 * more)));
  for (let i = more - 1; i >= 0; i--) bytes.push(0x80 | ((code >>> (6 * i)) & 0x3f));
}

/** [off, off+len) as UTF-8; what is none of it becomes U+FFFD. */
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
