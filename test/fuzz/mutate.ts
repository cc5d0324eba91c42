// Mutations. The blind ones change bytes wherever they are; the others know what a frame is made of and change what a
// parser looks at first: lengths, offsets, flags, lists of options. Each leaves `len` within the draft.

import type { Dice } from './dice.ts';
import { type Draft, ETHERNET } from './draft.ts';

const MAX = 65535;

/** One mutation or a few. `others`: frames to take pieces of. */
export function mutate(draft: Draft, dice: Dice, others: readonly Uint8Array[]): void {
  const times = dice.chance(60) ? 1 : dice.between(2, 6);
  for (let i = 0; i < times; i++) {
    if (dice.chance(55)) mutateFields(draft, dice);
    else mutateBlindly(draft, dice, others);
  }
}

export function mutateBlindly(draft: Draft, dice: Dice, others: readonly Uint8Array[]): void {
  const { bytes, len } = draft;
  const at = dice.below(Math.max(1, len));
  switch (dice.below(12)) {
    case 0:
      bytes[at]! ^= 1 << dice.below(8);
      return;
    case 1:
      bytes[at] = dice.word();
      return;
    case 2:
      bytes[at] = dice.edge(8);
      return;
    case 3:
      bytes.writeUInt16BE(dice.edge(16), at);
      return;
    case 4:
      if (at + 4 <= MAX) bytes.writeUInt32BE(dice.edge(32), at);
      return;
    case 5:
      bytes.writeUInt16BE((bytes.readUInt16BE(at) + dice.between(-4, 4)) & 0xffff, at);
      return;
    case 6:
      draft.len = dice.below(len + 1);
      return;
    case 7:
      extend(draft, dice);
      return;
    case 8:
      removeSpan(draft, at, dice.between(1, 16));
      return;
    case 9:
      repeatSpan(draft, at, dice.between(1, 64));
      return;
    case 10:
      for (let i = 0; i < dice.between(1, 8) && at + i < len; i++) bytes[at + i] = dice.word();
      return;
    default:
      splice(draft, dice, others);
  }
}

function extend(draft: Draft, dice: Dice): void {
  const more = Math.min(dice.pick([1, 2, 7, 8, 46, 500, 1500, 9000]), MAX - draft.len);
  draft.bytes.fill(dice.word(), draft.len, draft.len + more);
  draft.len += more;
}

function removeSpan(draft: Draft, at: number, span: number): void {
  const len = Math.min(span, draft.len - at);
  if (len <= 0) return;
  draft.bytes.copyWithin(at, at + len, draft.len);
  draft.len -= len;
}

function repeatSpan(draft: Draft, at: number, span: number): void {
  const len = Math.min(span, draft.len - at, MAX - draft.len);
  if (len <= 0) return;
  draft.bytes.copyWithin(at + len, at, draft.len);
  draft.len += len;
}

/** The end, or a piece, of another frame. */
function splice(draft: Draft, dice: Dice, others: readonly Uint8Array[]): void {
  if (others.length === 0) return;
  const other = dice.pick(others);
  const from = dice.below(other.length + 1);
  const at = dice.chance(50) ? Math.min(from, draft.len) : dice.below(draft.len + 1);
  const piece = other.subarray(from, dice.chance(50) ? other.length : from + dice.between(1, 64));
  const len = Math.min(piece.length, MAX - at);
  draft.bytes.set(piece.subarray(0, len), at);
  draft.len = dice.chance(50) ? at + len : Math.max(draft.len, at + len);
}

/** A field of one of the headers. */
export function mutateFields(draft: Draft, dice: Dice): void {
  const { bytes, len } = draft;
  if (len < ETHERNET + 20 || dice.chance(4)) {
    mutateEthernet(bytes, dice);
    return;
  }
  const type = bytes.readUInt16BE(12);
  if (type === 0x0806) mutateArp(bytes, dice);
  else if (type !== 0x0800) mutateEthernet(bytes, dice);
  else if (dice.chance(25)) mutateIpv4(draft, dice);
  else {
    const at = ETHERNET + Math.max(20, (bytes[ETHERNET]! & 15) * 4);
    const proto = bytes[23];
    if (proto === 6 && at + 20 <= len) mutateTcp(draft, dice, at);
    else if (proto === 17 && at + 8 <= len) mutateUdp(draft, dice, at);
    else mutateIpv4(draft, dice);
  }
}

function mutateEthernet(bytes: Buffer, dice: Dice): void {
  const what = dice.below(5);
  if (what === 0) bytes.writeUInt16BE(dice.pick([0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 46, 0x88cc]), 12);
  else if (what === 1) bytes.fill(0xff, 0, 6);
  else if (what === 2) bytes[dice.between(0, 5)] = dice.edge(8);
  else if (what === 3) bytes[dice.between(6, 11)] = dice.edge(8);
  else bytes.copyWithin(6, 0, 6);
}

function mutateArp(bytes: Buffer, dice: Dice): void {
  const at = ETHERNET + dice.pick([0, 2, 4, 5, 6, 7, 8, 14, 16, 17, 18, 24, 27]);
  if (dice.chance(50)) bytes[at] = dice.edge(8);
  else bytes.writeUInt16BE(dice.edge(16), at);
}

function mutateIpv4(draft: Draft, dice: Dice): void {
  const { bytes } = draft;
  const ip = ETHERNET;
  switch (dice.below(10)) {
    case 0:
      bytes[ip] = 0x40 | dice.below(16);
      return;
    case 1:
      bytes.writeUInt16BE((draft.len - ip + dice.between(-9, 9)) & 0xffff, ip + 2);
      return;
    case 2:
      bytes.writeUInt16BE(dice.edge(16), ip + 2);
      return;
    case 3:
      bytes.writeUInt16BE(dice.pick([0x2000, 0x4000, 0x8000, 0x6000, 1, 0x1fff, 0x3fff, 0x2001]), ip + 6);
      return;
    case 4:
      bytes.writeUInt16BE((dice.chance(50) ? 0x2000 : 0) | dice.below(0x2000), ip + 6);
      return;
    case 5:
      bytes[ip + 8] = dice.edge(8);
      return;
    case 6:
      bytes[ip + 9] = dice.pick([0, 1, 2, 6, 17, 41, 58, 132, 255]);
      return;
    case 7:
      bytes[ip + dice.between(12, 19)] = dice.edge(8);
      return;
    case 8:
      addIpOptions(draft, dice);
      return;
    default:
      bytes.writeUInt16BE(dice.below(4), ip + 4);
  }
}

/** IP options between the header and what it carries. */
function addIpOptions(draft: Draft, dice: Dice): void {
  const { bytes } = draft;
  const words = dice.between(1, 10);
  if (draft.len + 4 * words > MAX || (bytes[ETHERNET]! & 15) !== 5) return;
  bytes.copyWithin(34 + 4 * words, 34, draft.len);
  for (let i = 34; i < 34 + 4 * words; i++) bytes[i] = dice.edge(8);
  bytes[ETHERNET] = 0x45 + words;
  draft.len += 4 * words;
  bytes.writeUInt16BE((bytes.readUInt16BE(ETHERNET + 2) + 4 * words) & 0xffff, ETHERNET + 2);
}

function mutateTcp(draft: Draft, dice: Dice, at: number): void {
  const { bytes } = draft;
  switch (dice.below(11)) {
    case 0:
      bytes[at + 12] = dice.word();
      return;
    case 1:
      bytes[at + 13] = dice.word();
      return;
    case 2:
      bytes[at + 13]! ^= 1 << dice.below(8);
      return;
    case 3:
      nudge(bytes, at + 4, dice);
      return;
    case 4:
      nudge(bytes, at + 8, dice);
      return;
    case 5:
      bytes.writeUInt16BE(dice.edge(16), at + 14);
      return;
    case 6:
      bytes[at + 13]! |= 32;
      bytes.writeUInt16BE(dice.edge(16), at + 18);
      return;
    case 7:
    case 8:
      mutateTcpOptions(bytes, dice, at, draft.len);
      return;
    case 9:
      bytes.writeUInt16BE(dice.edge(16), at + dice.pick([0, 2]));
      return;
    default:
      bytes[at + 13] = dice.pick([0, 1, 2, 4, 16, 17, 18, 20, 24, 25, 41, 255]);
  }
}

/** A sequence number a little or a lot beside where it was. */
function nudge(bytes: Buffer, at: number, dice: Dice): void {
  const by = dice.pick([
    1, -1, 2, 8, 536, 1448, 1460, -1460, 4096, 65535, 65536, -65536, 0x40000000, 0x7fffffff,
  ]);
  const jump = dice.chance(85) ? by * (dice.chance(80) ? 1 : dice.between(2, 40)) : dice.word();
  bytes.writeInt32BE((bytes.readInt32BE(at) + jump) | 0, at);
}

function mutateTcpOptions(bytes: Buffer, dice: Dice, at: number, len: number): void {
  const end = Math.min(at + (bytes[at + 12]! >> 4) * 4, len);
  for (let i = at + 20; i < end; i++) {
    if (!dice.chance(30)) continue;
    const what = dice.below(4);
    if (what === 0) bytes[i] = dice.pick([0, 1, 2, 3, 4, 5, 8, 15, 28, 253, 254, 255]);
    else if (what === 1) bytes[i] = dice.pick([0, 1, 2, 3, 4, 10, 18, 26, 34, 40, 255]);
    else if (what === 2) bytes[i] = dice.word();
    else bytes[i]! ^= 1 << dice.below(8);
  }
}

function mutateUdp(draft: Draft, dice: Dice, at: number): void {
  const { bytes, len } = draft;
  const [from, to] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)];
  const what = dice.below(10);
  if (what === 0) bytes.writeUInt16BE(dice.edge(16), at + 4);
  else if (what === 1) bytes.writeUInt16BE((len - at + dice.between(-9, 9)) & 0xffff, at + 4);
  else if (what === 2) bytes.writeUInt16BE(0, at + 6);
  else if (what === 3)
    bytes.writeUInt16BE(dice.pick([0, 1, 7, 53, 67, 68, 69, 65535]), at + dice.pick([0, 2]));
  else if (to === 67 || to === 68) mutateDhcp(bytes, dice, at + 8, len);
  else if (to === 53 || from === 53) mutateDns(bytes, dice, at + 8, len);
  else bytes[at + 8 + dice.below(Math.max(1, len - at - 8))] = dice.word();
}

const DHCP_CODES = [
  0, 1, 3, 6, 12, 50, 51, 52, 53, 54, 55, 56, 57, 60, 61, 66, 67, 81, 82, 119, 255,
] as const;

/** The message of `len - at` bytes at `at`. */
export function mutateDhcp(bytes: Buffer, dice: Dice, at: number, len: number): void {
  const what = dice.below(8);
  if (what === 0) bytes[at + dice.pick([0, 1, 2, 3])] = dice.edge(8);
  else if (what === 1) bytes.writeUInt32BE(dice.edge(32), at + dice.pick([4, 8, 12, 16, 20, 24, 236]));
  else if (what === 2) bytes.writeUInt16BE(dice.edge(16), at + dice.pick([8, 10, 28, 30, 32, 44, 108]));
  else if (what === 3) bytes.writeInt32BE(0x0a000200 + dice.below(256), at + dice.pick([12, 24]));
  else mutateDhcpOptions(bytes, dice, at + 240, len);
}

/** Walks the list and changes an option here and there. */
function mutateDhcpOptions(bytes: Buffer, dice: Dice, from: number, len: number): void {
  for (let at = from; at + 1 < len; ) {
    const code = bytes[at]!;
    const size = bytes[at + 1]!;
    if (dice.chance(25)) {
      const what = dice.below(5);
      if (what === 0) bytes[at] = dice.pick(DHCP_CODES);
      else if (what === 1) bytes[at + 1] = dice.edge(8);
      else if (what === 2) bytes[at + 2] = code === 53 ? dice.below(10) : dice.edge(8);
      else if (what === 3 && at + 6 < len) bytes.writeInt32BE(0x0a000200 + dice.below(256), at + 2);
      else bytes.set([dice.pick(DHCP_CODES), dice.below(6)], at);
    }
    if (code === 255) return;
    at += code === 0 ? 1 : 2 + size;
  }
}

function mutateDns(bytes: Buffer, dice: Dice, at: number, len: number): void {
  const what = dice.below(6);
  if (what === 0) bytes[at + 2] = dice.word();
  else if (what === 1) bytes[at + 3] = dice.word();
  else if (what === 2) bytes.writeUInt16BE(dice.pick([0, 1, 2, 255, 65535]), at + dice.pick([4, 6, 8, 10]));
  else if (what === 3) bytes.writeUInt16BE(0xc000 | dice.below(40), at + 12 + dice.below(8));
  else if (what === 4) bytes[at + 12 + dice.below(Math.max(1, len - at - 12))] = dice.edge(8);
  else bytes.writeUInt16BE(dice.pick([1, 2, 28, 41, 251, 252, 255]), Math.max(at + 12, len - 4));
}
