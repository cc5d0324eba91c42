// What the next ACK says of data that came out of order or twice: the SACK option (RFC 2018 3, 4, with D-SACK, RFC 2883
// 4), and how many more ACKs this turn owes (RFC 5681 4.2). Input acknowledges once a turn. That loses nothing where the
// peer reads SACK, as long as every range that has changed is in one of the turn's ACKs; a peer that counts duplicates
// needs one for each segment. Never more ACKs than segments came.

import * as tcp from '../wire/tcp.ts';
import * as options from '../wire/tcp-options.ts';
import { TIMESTAMPS_LEN } from '../wire/tcp-options.ts';
import { seqLt } from './seq.ts';
import type { Tcb } from './tcb.ts';

/** Room for three blocks beside timestamps, four without. RFC 2018 3. */
const MAX_OPTIONS = tcp.MAX_HEADER_LEN - tcp.MIN_HEADER_LEN;
const MAX_BLOCKS = 4;
/** Bytes of text that a segment keeps beside SACK blocks. */
export const MIN_TEXT = 8;
/** RFC 5681 3.2: so many duplicates begin a fast retransmit, also with peers that speak SACK but count. */
const DUPLICATES = 3;
/** Most duplicate ACKs that wait for the link. */
const MAX_DUPLICATES_DUE = 64;
/** With fewer blocks a D-SACK would leave no room for news. */
const MIN_BLOCKS_FOR_DUPLICATE = 3;

const picked = new Int32Array(MAX_BLOCKS);

/** Bytes that the option of the next segment takes of `most`, padding included; 0: there is none. */
export function sackLen(tcb: Tcb, most: number): number {
  const blocks = sackBlocks(tcb, most);
  return blocks === 0 ? 0 : 4 + 8 * blocks;
}

/** Writes the option of sackLen() bytes at `at`, into a segment that goes out: what it says is news no longer. */
export function writeSack(tcb: Tcb, at: number, most: number): void {
  const { gaps } = tcb;
  const blocks = sackBlocks(tcb, most);
  if (blocks === 0) return;
  const v = tcb.env.arena.memory.view;
  let end = options.writeSackHead(v, at, blocks);
  let room = blocks;
  let holder = -1;
  if (gaps.hasDuplicates && blockRoom(tcb, most) >= MIN_BLOCKS_FOR_DUPLICATE) {
    const [from, to] = gaps.firstDuplicate;
    // RFC 2883 4: the duplicate first, and second the range above rcvNxt that it is part of.
    holder = seqLt(tcb.rcvNxt, to) ? gaps.rangeOf(from, to) : -1;
    v.setInt32(end, from);
    v.setInt32(end + 4, to);
    end += 8;
    room--;
    if (holder >= 0) {
      end = writeBlock(tcb, end, holder);
      room--;
    }
    gaps.dropDuplicate();
  }
  const count = gaps.pick(picked, room, holder);
  for (let n = 0; n < count; n++) end = writeBlock(tcb, end, picked[n]!);
}

/** Data ahead of its turn has come: each segment is due an ACK of its own where the peer counts them. RFC 5681 4.2. */
export function noteOutOfOrder(tcb: Tcb): void {
  if (tcb.sackPermitted && tcb.outOfOrderRun === DUPLICATES) return;
  if (tcb.sackPermitted) tcb.outOfOrderRun++;
  if (tcb.dupAcksDue < MAX_DUPLICATES_DUE) tcb.dupAcksDue++;
}

/** rcvNxt has moved: what was out of order is a duplicate of nothing any more. */
export function noteInOrder(tcb: Tcb): void {
  tcb.outOfOrderRun = 0;
  tcb.dupAcksDue = 0;
}

/** Does this turn owe the peer another ACK, when `ackPending` is answered? */
export function moreAcksDue(tcb: Tcb): boolean {
  if (tcb.dupAcksDue > 0) return true;
  return tcb.sackPermitted && (tcb.gaps.hasNews || tcb.gaps.hasDuplicates) && bareRoom(tcb) > 0;
}

/** Would an ACK now be a duplicate that the peer counts? Its window must not move then. RFC 5681 2. */
export function isDuplicateDue(tcb: Tcb): boolean {
  return tcb.dupAcksDue > 0 && tcb.lastAckSent === tcb.rcvNxt;
}

/** A segment without text goes out; before lastAckSent moves. */
export function noteBareAck(tcb: Tcb): void {
  if (isDuplicateDue(tcb)) tcb.dupAcksDue--;
}

/** [from, to) of a segment that has come before. RFC 2883. */
export function noteDuplicate(tcb: Tcb, from: number, to: number): void {
  if (!tcb.sackPermitted || !seqLt(from, to)) return;
  if (bareRoom(tcb) >= MIN_BLOCKS_FOR_DUPLICATE) tcb.gaps.noteDuplicate(from, to);
}

function writeBlock(tcb: Tcb, at: number, i: number): number {
  const v = tcb.env.arena.memory.view;
  v.setInt32(at, tcb.gaps.left(i));
  v.setInt32(at + 4, tcb.gaps.right(i));
  return at + 8;
}

function sackBlocks(tcb: Tcb, most: number): number {
  const { gaps } = tcb;
  if (!tcb.sackPermitted || (gaps.count === 0 && !gaps.hasDuplicates)) return 0;
  const room = blockRoom(tcb, most);
  const duplicate = gaps.hasDuplicates && room >= MIN_BLOCKS_FOR_DUPLICATE ? 1 : 0;
  return Math.min(gaps.count + duplicate, room);
}

/** Blocks of a segment without text. */
function bareRoom(tcb: Tcb): number {
  return blockRoom(tcb, tcb.sendMss - MIN_TEXT);
}

/** Blocks that fit beside timestamps, and into `most` bytes. */
function blockRoom(tcb: Tcb, most: number): number {
  const room = Math.min(MAX_OPTIONS - (tcb.timestamps ? TIMESTAMPS_LEN : 0), most) - 4;
  return Math.max(0, room >> 3);
}
