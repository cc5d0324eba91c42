// Text as UTF-8, RFC 3629. The core has no TextEncoder.

/** Of code points up to and including each, a byte more. */
const LONGEST = [0x7f, 0x7ff, 0xffff] as const;
const FIRST_BYTE = [0, 0xc0, 0xe0, 0xf0] as const;

/** The UTF-8 of `text`, at most `most` bytes: cut between two characters. Half a surrogate pair becomes U+FFFD. */
export function utf8Bytes(text: string, most: number): Uint8Array {
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
