import type { Memory } from '../base/memory.ts';
import { finish } from '../wire/checksum.ts';
import * as tcp from '../wire/tcp.ts';
import { Flag } from '../wire/tcp.ts';
import type { Segment } from './segment.ts';

/**
 * Writes, at `at`, the 20 bytes of the reset that answers `segment`, for which there is no connection; never call it for
 * one that is a reset itself. RFC 9293 3.10.7.1: it takes its sequence number from the ACK, or else acknowledges all.
 */
export function resetFor(
  memory: Memory,
  at: number,
  own: number,
  theirs: number,
  pseudo: number,
  segment: Segment,
): void {
  const hasAck = segment.has(Flag.Ack);
  const seq = hasAck ? segment.ack : 0;
  const ack = hasAck ? 0 : (segment.seq + segment.len) | 0;
  const flags = hasAck ? Flag.Rst : Flag.Rst | Flag.Ack;
  writeReset(memory, at, own, theirs, pseudo, seq, ack, flags);
}

/** Writes a reset with these fields. */
export function writeReset(
  memory: Memory,
  at: number,
  own: number,
  theirs: number,
  pseudo: number,
  seq: number,
  ack: number,
  flags: number,
): void {
  tcp.write(memory.view, at, own, theirs, seq, ack, tcp.MIN_HEADER_LEN, flags, 0);
  const sum = pseudo + tcp.MIN_HEADER_LEN + memory.sum(at, tcp.MIN_HEADER_LEN);
  tcp.setChecksum(memory.view, at, finish(sum));
}
