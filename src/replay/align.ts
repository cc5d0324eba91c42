// A recorded guest's frames as they have to be for another network: addresses of the recorded network become those of
// ours, and the acknowledgments, windows and timestamps of its TCP belong to the sequence numbers that ours has sent.
// What a frame says besides stays as it was, what is wrong with it too; checksums that were right are right again.

import { type Memory, memoryOver } from '../base/memory.ts';
import type { Settings } from '../base/settings.ts';
import { Addresses } from '../ip/addresses.ts';
import * as arp from '../wire/arp.ts';
import { setMac } from '../wire/bytes.ts';
import { finish, fold, isValid, pseudoSumIpv4 } from '../wire/checksum.ts';
import * as dhcp from '../wire/dhcp.ts';
import { Option } from '../wire/dhcp-options.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { writeTimestamps } from '../wire/tcp-options.ts';
import * as udp from '../wire/udp.ts';
import { type Decoded, type DecodedIp, type DecodedTcp, decode, isFragment } from './decode.ts';
import type { Roles } from './learned.ts';
import { dhcpOf } from './recording.ts';

const { Protocol } = ipv4;
/** Where the packet begins. */
const IP = ethernet.HEADER_LEN;

const TIMESTAMPS_LEN = 12;

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
  private readonly own: Addresses;
  private readonly toOurs = new Map<number, number>();
  private readonly toTheirs = new Map<number, number>();
  /** MACs of the recorded network, and whose address they belong to there. */
  private readonly macs = new Map<string, number>();

  constructor(theirs: Roles, settings: Settings) {
    this.theirs = theirs;
    this.settings = settings;
    this.own = new Addresses(settings);
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
    m.view.setUint16(ip.l4 + tcp.DST_PORT, now.remotePort);
    m.view.setUint32(ip.l4 + tcp.ACK, now.ack);
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
    const { srcPort, seq, flags, data } = segment;
    const m = segmentRoom(frame.bytes, ip.l4, now, data);
    this.alignMac(m, frame);
    this.setAddresses(m.view, ip.src, now.remoteAddress);
    writeSegment(m, ip.l4, srcPort, seq, flags, now);
    m.view.setUint16(ip.l4 + tcp.URGENT, tcp.urgent(frame.memory.view, ip.l4));
    seal(m, ip.l4, m.bytes.length, Protocol.Tcp);
    // What was damaged on its way is damaged here.
    if (!isCut && !isSealed(frame.memory, ip)) m.bytes[ip.l4 + tcp.CHECKSUM]! ^= 0xff;
    return m.bytes;
  }

  private alignMac(m: Memory, frame: Decoded): void {
    if (frame.isGroup) return;
    const theirs = this.macs.get(frame.dst);
    if (theirs === undefined) return;
    const { hi, lo } = this.own.macOf(this.address(theirs));
    setMac(m.view, 0, hi, lo);
  }

  private alignArp(v: DataView): void {
    for (const at of [IP + arp.SENDER_IP, IP + arp.TARGET_IP]) v.setInt32(at, this.address(v.getInt32(at)));
    if (arp.op(v, IP) === arp.Op.Reply)
      setMac(v, IP + arp.TARGET_MAC, ethernet.dstHi(v, 0), ethernet.dstLo(v, 0));
  }

  /** `theirs` the source, by its name in the recording; `ours` the destination, by its own. */
  private setAddresses(v: DataView, theirs: number, ours: number): void {
    v.setInt32(IP + ipv4.SRC, this.address(theirs));
    v.setInt32(IP + ipv4.DST, ours);
  }

  private alignIp(m: Memory, frame: Decoded, ip: DecodedIp, isCut: boolean): void {
    const was = frame.memory;
    const wasRight = isCut || isSealed(was, ip);
    this.setAddresses(m.view, ip.src, this.address(ip.dst));
    sealIp(m, ip.l4);
    const message = dhcpOf(frame);
    if (message !== null) this.alignDhcp(m.view, ip.l4 + udp.HEADER_LEN, ip.end);
    if (ip.fragmentOffset > 0 || (ip.proto !== Protocol.Tcp && ip.proto !== Protocol.Udp)) return;
    if (!isFragment(ip) && wasRight) seal(m, ip.l4, ip.end, ip.proto);
    // Of the first fragment the addresses' share is all that can be told.
    else if (isFragment(ip)) this.shiftChecksum(m.view, ip);
  }

  private shiftChecksum(v: DataView, ip: DecodedIp): void {
    const at = ip.l4 + checksumAt(ip.proto);
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
    v.setInt32(at + dhcp.CIADDR, this.address(v.getInt32(at + dhcp.CIADDR)));
    for (let option = at + dhcp.OPTIONS; option + 2 <= end; ) {
      const code = v.getUint8(option);
      if (code === Option.End) return;
      if (code === Option.Pad) {
        option++;
        continue;
      }
      const length = v.getUint8(option + 1);
      const isAddress = code === Option.RequestedAddress || code === Option.ServerId;
      if (isAddress && length === 4 && option + 6 <= end)
        v.setInt32(option + 2, this.address(v.getInt32(option + 2)));
      option += 2 + length;
    }
  }
}

/** A bare acknowledgment of the guest's, for a connection of which `like` is a segment. */
export function bareAck(like: Uint8Array, seq: number, now: SegmentNow): Uint8Array | null {
  const frame = decode(like);
  if (frame === null || frame.ip === null) return null;
  const { l4 } = frame.ip;
  const m = segmentRoom(like, l4, now, NO_DATA);
  writeSegment(m, l4, tcp.srcPort(frame.memory.view, l4), seq, tcp.Flag.Ack, now);
  seal(m, l4, m.bytes.length, Protocol.Tcp);
  return m.bytes;
}

const NO_DATA = new Uint8Array(0);

function headerLen({ timestamps }: SegmentNow): number {
  return tcp.MIN_HEADER_LEN + (timestamps === null ? 0 : TIMESTAMPS_LEN);
}

/** The headers of `like` in front of [0, l4), room for a TCP header, and `data`. */
function segmentRoom(like: Uint8Array, l4: number, now: SegmentNow, data: Uint8Array): Memory {
  const bytes = new Uint8Array(l4 + headerLen(now) + data.length);
  bytes.set(like.subarray(0, l4));
  bytes.set(data, bytes.length - data.length);
  const m = memoryOver(bytes);
  m.view.setUint16(IP + ipv4.TOTAL_LEN, bytes.length - IP);
  return m;
}

/** Writes the TCP header, behind an IPv4 header that is right but for its checksum. */
function writeSegment(
  m: Memory,
  l4: number,
  srcPort: number,
  seq: number,
  flags: number,
  now: SegmentNow,
): void {
  sealIp(m, l4);
  tcp.write(m.view, l4, srcPort, now.remotePort, seq, now.ack, headerLen(now), flags, now.window);
  if (now.timestamps === null) return;
  writeTimestamps(m.view, l4 + tcp.MIN_HEADER_LEN, now.timestamps.tsVal, now.timestamps.tsEcr);
}

function checksumAt(proto: number): number {
  return proto === Protocol.Udp ? udp.CHECKSUM : tcp.CHECKSUM;
}

function sealIp(m: Memory, l4: number): void {
  m.view.setUint16(IP + ipv4.CHECKSUM, 0);
  m.view.setUint16(IP + ipv4.CHECKSUM, finish(m.sum(IP, l4 - IP)));
}

function pseudo(m: Memory, proto: number, length: number): number {
  return pseudoSumIpv4(ipv4.src(m.view, IP), ipv4.dst(m.view, IP), proto) + length;
}

/** Where a segment's or datagram's checksum ends; a datagram may be shorter than its packet. */
function spanOf(v: DataView, l4: number, end: number, proto: number): number {
  return proto === Protocol.Udp && end - l4 >= udp.HEADER_LEN
    ? Math.min(v.getUint16(l4 + 4), end - l4)
    : end - l4;
}

function seal(m: Memory, l4: number, end: number, proto: number): void {
  const at = l4 + checksumAt(proto);
  if (at + 2 > end || (proto === Protocol.Udp && m.view.getUint16(at) === 0)) return;
  m.view.setUint16(at, 0);
  const length = spanOf(m.view, l4, end, proto);
  const checksum = finish(pseudo(m, proto, length) + m.sum(l4, length));
  m.view.setUint16(at, checksum === 0 && proto === Protocol.Udp ? 0xffff : checksum);
}

/** Its checksum is right, or what a sender leaves to its card: the sum of the pseudo-header alone. */
function isSealed(m: Memory, ip: DecodedIp): boolean {
  if (ip.proto !== Protocol.Tcp && ip.proto !== Protocol.Udp) return true;
  const at = ip.l4 + checksumAt(ip.proto);
  if (at + 2 > ip.end || isFragment(ip)) return true;
  const length = spanOf(m.view, ip.l4, ip.end, ip.proto);
  const sum = pseudo(m, ip.proto, length);
  const said = m.view.getUint16(at);
  return (
    isValid(sum + m.sum(ip.l4, length)) || said === fold(sum) || (ip.proto === Protocol.Udp && said === 0)
  );
}
