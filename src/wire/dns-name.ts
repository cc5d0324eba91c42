// Domain names on the wire: labels, and pointers to earlier ones. RFC 1035 3.1 and 4.1.4.

import { asciiText } from './ascii.ts';

/** Labels with their length bytes and the root, RFC 1035 2.3.4. */
const MAX_NAME = 255;
const MAX_LABEL = 63;

const POINTER = 0xc0;

/**
 * Where the name at `off` ends within [.., end), or -1 when it does not or breaks a limit. A pointer ends a name and
 * is not followed.
 */
export function skipName(v: DataView, off: number, end: number): number {
  for (let at = off; at < end && at - off < MAX_NAME; ) {
    const length = v.getUint8(at);
    if (length === 0) return at + 1;
    if ((length & POINTER) === POINTER) return at + 2 <= end ? at + 2 : -1;
    if (length > MAX_LABEL) return -1;
    at += 1 + length;
  }
  return -1;
}

/** The wire form of `text`, a name with or without its last dot, or null when a label or the name is too long. */
export function nameBytes(text: string): Uint8Array | null {
  const bytes: number[] = [];
  const labels = text.split('.');
  if (labels.length > 1 && labels.at(-1) === '') labels.pop();
  for (const label of labels) {
    if (label.length === 0 || label.length > MAX_LABEL) return null;
    bytes.push(label.length);
    for (let i = 0; i < label.length; i++) {
      const code = label.charCodeAt(i);
      if (code <= 0x20 || code >= 0x7f) return null;
      bytes.push(code);
    }
  }
  bytes.push(0);
  return bytes.length > MAX_NAME ? null : Uint8Array.from(bytes);
}

/**
 * The names one after the other in [off, off+len), pointers counted from `off` and pointing backwards only (RFC 3397
 * 2), or null when that is not what is there. Names that are the root are left out.
 */
export function nameList(v: DataView, off: number, len: number): string[] | null {
  const names: string[] = [];
  const end = off + len;
  for (let at = off; at < end; ) {
    const next = skipName(v, at, end);
    const name = next < 0 ? null : nameText(v, off, at, end);
    if (name === null) return null;
    if (name !== '') names.push(name);
    at = next;
  }
  return names;
}

/** The text of the name at `at`, '' for the root, or null. `base` is what pointers count from. */
function nameText(v: DataView, base: number, at: number, end: number): string | null {
  const labels: string[] = [];
  let total = 0;
  let limit = at;
  for (let i = at; i < end; ) {
    const length = v.getUint8(i);
    if (length === 0) return labels.join('.');
    if ((length & POINTER) === POINTER) {
      if (i + 2 > end) return null;
      const target = base + (v.getUint16(i) & 0x3fff);
      // Strictly backwards: so a chain of pointers ends.
      if (target >= limit) return null;
      limit = target;
      i = target;
      continue;
    }
    total += 1 + length;
    if (length > MAX_LABEL || total >= MAX_NAME || i + 1 + length > end) return null;
    labels.push(asciiText(v, i + 1, length));
    i += 1 + length;
  }
  return null;
}
