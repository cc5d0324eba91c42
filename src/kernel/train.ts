// Trains: frames of one TCP stream, one behind the other with QEMU's length prefix (4 bytes, big-endian) before each, whose
// headers differ in a few fields. What JavaScript does for a frame costs more than the copy of its payload does, so the
// frames behind the first of a train are taken apart, or made, here. The first one went the ordinary way, and lies
// where they can be compared with it, or copied from it.
//
// A frame of a train is Ethernet, IPv4 without options, TCP without options or with timestamps behind two NOPs:
//
//   0 MACs   12 type 14 version, TOS   16 length* 18 ident* 20 fragment, TTL, protocol   24 checksum*   26 addresses
//   34 ports 38 sequence* 42 acknowledgment 46 offset, flags (PSH*), window 50 checksum* 52 urgent*
//   54 NOP, NOP, timestamps  58 TSval*  62 TSecr*                                                * may differ
//
// Sums are of little-endian words, as in sum.ts. JavaScript's side: src/nat/train.ts, src/ip/output.ts.

import { copySum } from './sum';

const PREFIX: usize = 4;
const IP: usize = 14;
const TCP: usize = 34;
const OPTIONS: usize = 54;
/** The longest IPv4 packet behind its Ethernet header: what is longer is for JavaScript to judge. */
const MAX_FRAME: u32 = 65549;
/** In the word of offset, flags and window as it is loaded. */
const PSH: u32 = 0x0800;

let frames: u32 = 0;
let bytes: u32 = 0;
let last: u32 = 0;

/** Frames that the last takeTrain() took. */
export function framesTaken(): u32 {
  return frames;
}

/** Bytes of their payloads. */
export function bytesTaken(): u32 {
  return bytes;
}

/** And of the payload of the last of them. */
export function lastTaken(): u32 {
  return last;
}

@inline
function swap16(x: u32): u32 {
  return ((x & 0xff) << 8) | ((x >> 8) & 0xff);
}

@inline
function fold(sum: u32): u32 {
  const once = (sum & 0xffff) + (sum >> 16);
  return (once & 0xffff) + (once >> 16);
}

/** The eight 16-bit words of `v`, added. */
@inline
function words(v: v128): u32 {
  const sums = i32x4.extadd_pairwise_i16x8_u(v);
  return (
    <u32>i32x4.extract_lane(sums, 0) +
    <u32>i32x4.extract_lane(sums, 1) +
    <u32>i32x4.extract_lane(sums, 2) +
    <u32>i32x4.extract_lane(sums, 3)
  );
}

@inline
function halves(x: u32): u32 {
  return (x >> 16) + (x & 0xffff);
}

/** Of the whole IPv4 header. */
@inline
function sumIp(frame: usize): u32 {
  return words(v128.load(frame + IP)) + halves(load<u32>(frame + IP + 16));
}

/** Of the TCP header and the pseudo-header without its length. RFC 9293 3.1. */
@inline
function sumTcp(frame: usize, header: u32): u32 {
  const addresses = halves(load<u32>(frame + 26)) + halves(load<u32>(frame + 30));
  const fixed = words(v128.load(frame + TCP)) + halves(load<u32>(frame + 50));
  const timestamps =
    header > 20 ? halves(load<u32>(frame + 54)) + halves(load<u32>(frame + 58)) + halves(load<u32>(frame + 62)) : 0;
  return addresses + 0x0600 + fixed + timestamps;
}

/** Are the headers of `a` and `b` the same where those of a train are? */
@inline
function alike(a: usize, b: usize, header: u32): bool {
  const start = v128.xor(v128.load(a), v128.load(b));
  // From 22 on: TTL and protocol, checksum, addresses, ports.
  const middle = v128.and(
    v128.xor(v128.load(a + 22), v128.load(b + 22)),
    i16x8(-1, 0, -1, -1, -1, -1, -1, -1),
  );
  if (v128.any_true(v128.or(start, middle))) return false;
  if (load<u16>(a + 20) != load<u16>(b + 20) || load<u32>(a + 42) != load<u32>(b + 42)) return false;
  if (((load<u32>(a + 46) ^ load<u32>(b + 46)) & ~PSH) != 0) return false;
  return header == 20 || load<u32>(a + OPTIONS) == load<u32>(b + OPTIONS);
}

/**
 * Takes the frames from the prefix at `at` on, the last of them complete before `end`, that are like the frame at `first`,
 * follow each other from sequence number `next` on, and are what was sent: their payloads are copied to `to` one behind
 * the other. At most `most` frames and `room` bytes; none with a timestamp before `tsRecent` (RFC 7323 5.3). Returns where
 * the first that was not taken begins, its prefix; there bytes may have been copied, and do not count.
 */
export function takeTrain(
  first: usize,
  at: usize,
  end: usize,
  next: u32,
  tsRecent: i32,
  to: usize,
  room: u32,
  most: u32,
): usize {
  const header: u32 = (<u32>load<u8>(first + 46) >> 4) << 2;
  const least: u32 = <u32>TCP + header;
  frames = 0;
  bytes = 0;
  while (frames < most && end - at >= PREFIX) {
    const len = bswap(load<u32>(at));
    const frame = at + PREFIX;
    if (len <= least || len > MAX_FRAME || len > <u32>(end - frame) || !alike(first, frame, header)) break;
    const total = swap16(load<u16>(frame + 16));
    if (<u32>IP + total > len || <u32>IP + total <= least) break;
    const payload = <u32>IP + total - least;
    if (bswap(load<u32>(frame + 38)) != next || payload > room) break;
    if (header > 20 && <i32>bswap(load<u32>(frame + 58)) - tsRecent < 0) break;
    const text = swap16(copySum(to, frame + least, payload));
    const length = swap16(total - 20);
    if (fold(sumIp(frame)) != 0xffff || fold(sumTcp(frame, header) + length + text) != 0xffff) break;
    to += payload;
    room -= payload;
    next += payload;
    bytes += payload;
    last = payload;
    frames++;
    at = frame + len;
  }
  return at;
}

/**
 * Behind the frame at `first`, `len` bytes long and complete, its payload from `header` on, come `count` more like it:
 * each with the next identification, the sequence number behind the one before, and as much payload, from `src` on.
 */
export function makeTrain(first: usize, len: u32, header: u32, src: usize, count: u32): void {
  const payload = len - header;
  const prefix = load<u32>(first - PREFIX);
  let ident = swap16(load<u16>(first + 18));
  let seq = bswap(load<u32>(first + 38));
  const ip = sumIp(first) - load<u16>(first + 18) - load<u16>(first + 24);
  const tcp =
    sumTcp(first, header - <u32>TCP) +
    swap16(len - <u32>TCP) -
    halves(load<u32>(first + 38)) -
    load<u16>(first + 50);
  let frame = first;
  for (let i: u32 = 0; i < count; i++) {
    frame += PREFIX + len;
    store<u32>(frame - PREFIX, prefix);
    // To the end of the 16 bytes that the header ends in: payload comes over the rest.
    for (let k: usize = 0; k < header; k += 16) v128.store(frame + k, v128.load(first + k));
    ident = (ident + 1) & 0xffff;
    seq += payload;
    store<u16>(frame + 18, <u16>swap16(ident));
    store<u16>(frame + 24, <u16>~fold(ip + swap16(ident)));
    store<u32>(frame + 38, bswap(seq));
    const text = swap16(copySum(frame + header, src, payload));
    store<u16>(frame + 50, <u16>~fold(tcp + halves(bswap(seq)) + text));
    src += payload;
  }
}
