// ICMPv4, RFC 792: only what the engine itself must report. What a guest sends is dropped by design.

import type { Memory } from '../base/memory.ts';
import { finish } from './checksum.ts';

export const HEADER_LEN = 8;
export const Type = {
  EchoReply: 0,
  Unreachable: 3,
  Echo: 8,
  TimeExceeded: 11,
  ParameterProblem: 12,
} as const;

/** Codes of Type.Unreachable. RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1. */
export const Code = {
  Net: 0,
  Host: 1,
  Protocol: 2,
  Port: 3,
  FragmentationNeeded: 4,
  NetProhibited: 9,
  HostProhibited: 10,
  Prohibited: 13,
} as const;

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;

export function type(v: DataView, icmp: number): number {
  return v.getUint8(icmp + TYPE);
}

export function code(v: DataView, icmp: number): number {
  return v.getUint8(icmp + CODE);
}

/** Writes an error's header in front of the `quoteLen` bytes already at icmp + 8. `rest`: the MTU of code 4, else 0. */
export function writeError(
  m: Memory,
  icmp: number,
  kind: number,
  code: number,
  rest: number,
  quoteLen: number,
): void {
  const v = m.view;
  v.setUint8(icmp + TYPE, kind);
  v.setUint8(icmp + CODE, code);
  v.setUint16(icmp + CHECKSUM, 0);
  v.setInt32(icmp + REST, rest);
  v.setUint16(icmp + CHECKSUM, finish(m.sum(icmp, HEADER_LEN + quoteLen)));
}
