// Text in messages, byte by byte: host names, file names. The core has no TextEncoder.

/** The bytes of `text`; a character that is not ASCII becomes `?`. */
export function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    bytes[i] = code < 0x80 ? code : 0x3f;
  }
  return bytes;
}

/** The text of [off, off+len), up to the first NUL; a byte that is not printable ASCII becomes `?`. */
export function asciiText(v: DataView, off: number, len: number): string {
  let text = '';
  for (let i = off; i < off + len; i++) {
    const code = v.getUint8(i);
    if (code === 0) break;
    text += code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '?';
  }
  return text;
}
