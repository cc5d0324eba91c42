// A recorded guest's frames as they have to be for another network: addresses of the recorded network become those of
// ours, and the acknowledgments, windows and timestamps of its TCP belong to the sequence numbers that ours has sent.
// What a frame says besides stays as it was, what is wrong with it too; checksums that were right are right again.

import { type Memory, memoryOver } from '../base/memory.ts';
import type { Settings } from '../base/settings.ts';
import * as arp from '../wire/arp.ts';
import { setMac } from '../wire/bytes.ts';
import { finish, fold, isValid, pseudoSumIpv4 } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import { Protocol } from '../wire/ipv4.ts';
import { Flag, MIN_HEADER_LEN, write as writeTcp } from '../wire/tcp.ts';
import { writeTimestamps } from '../wire/tcp-options.ts';
import { type Decoded, type DecodedIp, type DecodedTcp, decode, isFragment } from './decode.ts';
import type { Roles } from './learned.ts';
import { dhcpOf } from './recording.ts';

/** As in slirp, ours begin with these two bytes and go on with the address. ip/addresses.ts. */
const MAC_HI = 0x5255;
const TIMESTAMPS_LEN = 12;
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;
const IP_TOTAL_LEN = 2;
const IP_CHECKSUM = 10;
const UDP_HEADER_LEN = 8;
const DHCP_CIADDR = 12;
const DHCP_OPTIONS = 240;
const REQUESTED_ADDRESS = 50;
const SERVER_ID = 54;

/** What is said of a segment in our connection. Sequence numbers unsigned. */
export interface SegmentNow {
  readonly ack: number;
  /** As it stands in the header. */
  readonly window: number;
  /** Who is at the other end: of a connection from a client of the host's it may have another name. */
  readonly remoteAddress: number;
  readonly remotePort: number;
  /** TSval and TSecr, where both sides have timestamps. */
  readonly timestamps: { readonly tsVal: number; readonly tsEcr: number } | null;
}

export class Aligner {
  private readonly theirs: Roles;
  private readonly settings: Settings;
  private readonly toOurs = new Map<number, number>();
  private readonly toTheirs = new Map<number, number>();
  /** MACs of the recorded network, and whose address they belong to there. */
  private readonly macs = new Map<string, number>();

  constructor(theirs: Roles, settings: Settings) {
    this.theirs = theirs;
    this.settings = settings;
    this.pair(theirs.gateway, settings.gateway);
    if (theirs.dns !== null && settings.dns !== null) this.pair(theirs.dns, settings.dns.address);
  }

  /** The guest's address there is the other one here. */
  pair(theirs: number, ours: number): void {
    this.toOurs.set(theirs, ours);
    this.toTheirs.set(ours, theirs);
  }

  /** A frame of the recorded network tells which address is behind its MAC. */
  learnMac(frame: Decoded): void {
    const address = frame.arp?.senderIp ?? frame.ip?.src ?? null;
    if (address === null) return;
    const isOwn = address === this.theirs.gateway || address === this.theirs.dns;
    // Everything else that comes from a MAC of the network comes through its gateway.
    if (isOwn) this.macs.set(frame.src, address);
    else if (!this.macs.has(frame.src)) this.macs.set(frame.src, this.theirs.gateway);
  }

  address(theirs: number): number {
    const known = this.toOurs.get(theirs);
    if (known !== undefined) return known;
    const { subnet, mask } = this.settings;
    const isInside = (theirs & this.theirs.mask) === this.theirs.subnet;
    if (!isInside || subnet === this.theirs.subnet) return theirs;
    return subnet | (theirs & ~mask);
  }

  /** An address of ours by its name in the recording. */
  back(ours: number): number {
    const known = this.toTheirs.get(ours);
    if (known !== undefined) return known;
    const { subnet, mask } = this.settings;
    if ((ours & mask) !== subnet || subnet === this.theirs.subnet) return ours;
    return this.theirs.subnet | (ours & ~this.theirs.mask);
  }

  /** `frame` of a guest for our network, in bytes of its own. `isCut`: its checksums are of bytes that are lost. */
  aligned(frame: Decoded, isCut: boolean): Uint8Array {
    const m = memoryOver(Uint8Array.from(frame.bytes));
    this.alignMac(m, frame);
    if (frame.arp !== null) this.alignArp(m.view);
    if (frame.ip !== null) this.alignIp(m, frame, frame.ip, isCut);
    return m.bytes;
  }

  /** A SYN-ACK of a guest's: it keeps its options, since what the network's SYN offered is the network's own matter. */
  alignedSynAck(frame: Decoded, ip: DecodedIp, now: SegmentNow): Uint8Array {
    const m = memoryOver(Uint8Array.from(frame.bytes));
    this.alignMac(m, frame);
    this.setAddresses(m.view, ip.src, now.remoteAddress);
    sealIp(m, ip.l4);
    m.view.setUint16(ip.l4 + 2, now.remotePort);
    m.view.setUint32(ip.l4 + 8, now.ack);
    seal(m, ip.l4, ip.end, Protocol.Tcp);
    return m.bytes;
  }

  /** The same for a segment of a connection, as `now` has it. Timestamps are the only options it keeps. */
  alignedSegment(
    frame: Decoded,
    ip: DecodedIp,
    segment: DecodedTcp,
    now: SegmentNow,
    isCut: boolean,
  ): Uint8Array {
    const options = now.timestamps === null ? 0 : TIMESTAMPS_LEN;
    const header = MIN_HEADER_LEN + options;
    const bytes = new Uint8Array(ip.l4 + header + segment.data.length);
    bytes.set(frame.bytes.subarray(0, ip.l4));
    bytes.set(segment.data, ip.l4 + header);
    const m = memoryOver(bytes);
    const { view } = m;
    this.alignMac(m, frame);
    view.setUint16(ethernet.HEADER_LEN + IP_TOTAL_LEN, bytes.length - ethernet.HEADER_LEN);
    this.setAddresses(view, ip.src, now.remoteAddress);
    sealIp(m, ip.l4);
    const { srcPort, seq, flags } = segment;
    writeTcp(view, ip.l4, srcPort, now.remotePort, seq, now.ack, header, flags, now.window);
    view.setUint16(ip.l4 + 18, frame.memory.view.getUint16(ip.l4 + 18));
    if (now.timestamps !== null)
      writeTimestamps(view, ip.l4 + MIN_HEADER_LEN, now.timestamps.tsVal, now.timestamps.tsEcr);
    seal(m, ip.l4, bytes.length, Protocol.Tcp);
    // What was damaged on its way is damaged here.
    if (!isCut && !isSealed(frame.memory, ip)) bytes[ip.l4 + TCP_CHECKSUM]! ^= 0xff;
    return bytes;
  }

  private alignMac(m: Memory, frame: Decoded): void {
    if (frame.isGroup) return;
    const theirs = this.macs.get(frame.dst);
    if (theirs !== undefined) setMac(m.view, 0, MAC_HI, this.address(theirs));
  }

  private alignArp(v: DataView): void {
    const at = ethernet.HEADER_LEN;
    for (const field of [at + 14, at + 24]) v.setInt32(field, this.address(v.getInt32(field)));
    if (arp.op(v, at) === arp.Op.Reply) v.setUint16(at + 18, v.getUint16(0));
    if (arp.op(v, at) === arp.Op.Reply) v.setInt32(at + 20, v.getInt32(2));
  }

  /** `theirs` the source, by its name in the recording; `ours` the destination, by its own. */
  private setAddresses(v: DataView, theirs: number, ours: number): void {
    v.setInt32(ethernet.HEADER_LEN + 12, this.address(theirs));
    v.setInt32(ethernet.HEADER_LEN + 16, ours);
  }

  private alignIp(m: Memory, frame: Decoded, ip: DecodedIp, isCut: boolean): void {
    const was = frame.memory;
    const wasRight = isCut || isSealed(was, ip);
    this.setAddresses(m.view, ip.src, this.address(ip.dst));
    sealIp(m, ip.l4);
    const message = dhcpOf(frame);
    if (message !== null) this.alignDhcp(m.view, ip.l4 + UDP_HEADER_LEN, ip.end);
    if (ip.fragmentOffset > 0 || (ip.proto !== Protocol.Tcp && ip.proto !== Protocol.Udp)) return;
    if (!isFragment(ip) && wasRight) seal(m, ip.l4, ip.end, ip.proto);
    // Of the first fragment the addresses' share is all that can be told.
    else if (isFragment(ip)) this.shiftChecksum(m.view, ip);
  }

  private shiftChecksum(v: DataView, ip: DecodedIp): void {
    const at = ip.l4 + (ip.proto === Protocol.Udp ? UDP_CHECKSUM : TCP_CHECKSUM);
    if (at + 2 > ip.end || (ip.proto === Protocol.Udp && v.getUint16(at) === 0)) return;
    const before = pseudoSumIpv4(ip.src, ip.dst, 0);
    const after = pseudoSumIpv4(this.address(ip.src), this.address(ip.dst), 0);
    // RFC 1624 3, equation 3.
    const sum = (~v.getUint16(at) & 0xffff) + (~fold(before) & 0xffff) + fold(after);
    const checksum = finish(sum);
    v.setUint16(at, checksum === 0 && ip.proto === Protocol.Udp ? 0xffff : checksum);
  }

  /** ciaddr and the options that name an address of the exchange. */
  private alignDhcp(v: DataView, at: number, end: number): void {
    v.setInt32(at + DHCP_CIADDR, this.address(v.getInt32(at + DHCP_CIADDR)));
    for (let option = at + DHCP_OPTIONS; option + 2 <= end; ) {
      const code = v.getUint8(option);
      if (code === 255) return;
      if (code === 0) {
        option++;
        continue;
      }
      const length = v.getUint8(option + 1);
      if ((code === REQUESTED_ADDRESS || code === SERVER_ID) && length === 4 && option + 6 <= end)
        v.setInt32(option + 2, this.address(v.getInt32(option + 2)));
      option += 2 + length;
    }
  }
}

/** A bare acknowledgment of the guest's, for a connection of which `like` is a segment. */
export function bareAck(like: Uint8Array, seq: number, now: SegmentNow): Uint8Array | null {
  const frame = decode(like);
  if (frame === null || frame.ip === null) return null;
  const { ip } = frame;
  const options = now.timestamps === null ? 0 : TIMESTAMPS_LEN;
  const bytes = new Uint8Array(ip.l4 + MIN_HEADER_LEN + options);
  bytes.set(like.subarray(0, ip.l4 + 4));
  const m = memoryOver(bytes);
  const v = m.view;
  v.setUint16(ethernet.HEADER_LEN + IP_TOTAL_LEN, bytes.length - ethernet.HEADER_LEN);
  sealIp(m, ip.l4);
  const header = MIN_HEADER_LEN + options;
  const [from, to] = [v.getUint16(ip.l4), v.getUint16(ip.l4 + 2)];
  writeTcp(v, ip.l4, from, to, seq, now.ack, header, Flag.Ack, now.window);
  if (now.timestamps !== null)
    writeTimestamps(v, ip.l4 + MIN_HEADER_LEN, now.timestamps.tsVal, now.timestamps.tsEcr);
  seal(m, ip.l4, bytes.length, Protocol.Tcp);
  return bytes;
}

function sealIp(m: Memory, l4: number): void {
  const at = ethernet.HEADER_LEN;
  m.view.setUint16(at + IP_CHECKSUM, 0);
  m.view.setUint16(at + IP_CHECKSUM, finish(m.sum(at, l4 - at)));
}

function pseudo(m: Memory, proto: number, length: number): number {
  const at = ethernet.HEADER_LEN;
  return pseudoSumIpv4(m.view.getInt32(at + 12), m.view.getInt32(at + 16), proto) + length;
}

/** Where a segment's or datagram's checksum ends; a datagram may be shorter than its packet. */
function spanOf(v: DataView, l4: number, end: number, proto: number): number {
  return proto === Protocol.Udp && end - l4 >= UDP_HEADER_LEN
    ? Math.min(v.getUint16(l4 + 4), end - l4)
    : end - l4;
}

function seal(m: Memory, l4: number, end: number, proto: number): void {
  const at = l4 + (proto === Protocol.Udp ? UDP_CHECKSUM : TCP_CHECKSUM);
  if (at + 2 > end || (proto === Protocol.Udp && m.view.getUint16(at) === 0)) return;
  m.view.setUint16(at, 0);
  const length = spanOf(m.view, l4, end, proto);
  const checksum = finish(pseudo(m, proto, length) + m.sum(l4, length));
  m.view.setUint16(at, checksum === 0 && proto === Protocol.Udp ? 0xffff : checksum);
}

/** Its checksum is right, or what a sender leaves to its card: the sum of the pseudo-header alone. */
function isSealed(m: Memory, ip: DecodedIp): boolean {
  if (ip.proto !== Protocol.Tcp && ip.proto !== Protocol.Udp) return true;
  const at = ip.l4 + (ip.proto === Protocol.Udp ? UDP_CHECKSUM : TCP_CHECKSUM);
  if (at + 2 > ip.end || isFragment(ip)) return true;
  const length = spanOf(m.view, ip.l4, ip.end, ip.proto);
  const sum = pseudo(m, ip.proto, length);
  const said = m.view.getUint16(at);
  return (
    isValid(sum + m.sum(ip.l4, length)) || said === fold(sum) || (ip.proto === Protocol.Udp && said === 0)
  );
}
