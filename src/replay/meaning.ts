// What a network has said to its guests, in facts that do not depend on how it said it: a lease and its parameters, an
// ARP answer, the handshake of a TCP connection, the bytes of a stream, a refusal. Two networks that mean the same have
// the same facts, whatever their sequence numbers, segments, windows and timing are.
//
// An answer counts where its question has been seen: a capture that begins in between says nothing about the network.

import { formatIpv4Word, formatMac } from '../base/addr.ts';
import * as arp from '../wire/arp.ts';
import * as dhcp from '../wire/dhcp.ts';
import { readParameters } from '../wire/dhcp-client.ts';
import { PORT as DNS_PORT } from '../wire/dns.ts';
import { EtherType } from '../wire/ethernet.ts';
import * as icmp from '../wire/icmpv4.ts';
import { Protocol } from '../wire/ipv4.ts';
import { type Decoded, decodeIcmp, decodeUdp, endpointText } from './decode.ts';
import { dhcpOf } from './recording.ts';
import { DatagramAssembler } from './streams.ts';
import { type TcpConversation, TcpConversations } from './tcp-conversations.ts';

export interface Fact {
  readonly text: string;
  /** Of a stream: its bytes. */
  readonly bytes?: Uint8Array;
  /** Of a stream that was cut short by a reset: the bytes at its start that the other side is known to have. */
  readonly needed?: number;
}

/** Facts by what they are about, and by field. */
export type Facts = ReadonlyMap<string, ReadonlyMap<string, Fact>>;

/** Far beyond any capture that fits in memory; from there on nothing is added. */
const MAX_SUBJECTS = 1 << 20;
/** Source and destination port. */
const UDP_PORTS_LEN = 4;
/** Options of a lease that every server must give; the others are its own affair. */
const LEASE_OPTIONS: readonly number[] = [1, 3, 6, 51, 53, 54];

export class Meaning {
  readonly tcp = new TcpConversations();
  private readonly facts = new Map<string, Map<string, Fact>>();
  private readonly fragments = new DatagramAssembler();
  /** DHCP exchanges of the guests, by client and xid, and how many each client has had. */
  private readonly exchanges = new Map<string, string>();
  private readonly exchangeCounts = new Map<string, number>();
  /** UDP conversations in which a guest has said something. */
  private readonly spoken = new Set<string>();
  /** TCP connections that `all` tells of although frames of them are missing. */
  readonly incomplete = new Set<string>();
  private readonly datagrams = new Map<string, Uint8Array[]>();
  private readonly name: (address: number) => number;

  /** `name`: an address as it is called where the two are compared. */
  constructor(name: (address: number) => number = (address) => address) {
    this.name = name;
  }

  /** A frame of the guest `guest`. */
  fromGuest(frame: Decoded, guest: string): void {
    const { ip } = frame;
    if (frame.arp !== null) this.asked(frame.arp.op, frame.arp.senderIp, frame.arp.targetIp);
    else if (frame.etherType === EtherType.Ipv6) this.first('ipv6', 'ipv6.answer', 'silence');
    else if (ip !== null && !this.dhcpAsked(frame)) {
      const message = decodeIcmp(frame);
      if (message?.type === icmp.Type.Echo) this.first(`ping ${this.text(ip.dst)}`, 'icmp.echo', 'silence');
      if (ip.proto === Protocol.Tcp) this.tcp.take(frame, guest, true);
      if (ip.proto === Protocol.Udp) this.udpAsked(frame);
    }
  }

  /** A frame of the network, for the guest `guest`. */
  fromNetwork(frame: Decoded, guest: string): void {
    const { ip } = frame;
    if (frame.arp?.op === arp.Op.Reply)
      this.answer(`arp ${this.text(frame.arp.senderIp)}`, 'arp.answer', 'answered');
    if (frame.etherType === EtherType.Ipv6) this.set('ipv6', 'ipv6.answer', 'answered');
    if (ip === null || this.dhcpAnswered(frame)) return;
    if (ip.proto === Protocol.Tcp) this.tcp.take(frame, guest, false);
    if (ip.proto === Protocol.Icmp) this.icmpSaid(frame, ip.src, guest);
    if (ip.proto === Protocol.Udp) this.udpSaid(frame, ip.src, ip.dst);
  }

  /** A frame of one guest's for another, that the network passed on or should have. */
  fromGuestToGuest(frame: Decoded): void {
    const subject = `switch ${frame.src} > ${frame.dst}`;
    const before = Number.parseInt(this.facts.get(subject)?.get('switch.frames')?.text ?? '0', 10);
    this.set(subject, 'switch.frames', `${before + 1} delivered`);
  }

  /** All facts there are by now. */
  get all(): Facts {
    for (const [subject, list] of this.datagrams) {
      const sizes = list.slice(0, 8).map((one) => one.length);
      const more = list.length > sizes.length ? ' + ...' : '';
      const text = `${list.length} ${list.length === 1 ? 'datagram' : 'datagrams'} of ${sizes.join(' + ')}${more} bytes`;
      this.put(subject, 'udp.toGuest', { text, bytes: joined(list) });
    }
    for (const one of this.tcp.all) if (one.hasSyn) this.tcpFacts(one);
    return this.facts;
  }

  private tcpFacts(one: TcpConversation): void {
    const subject = `tcp ${this.tcpName(one)}`;
    if (one.lacksFrames) this.incomplete.add(subject);
    // What the guest answers to a client of the host is the recording's own, not the network's.
    if (one.isInbound) this.set(subject, 'tcp.client', this.text(one.remoteAddress));
    else this.set(subject, 'tcp.answer', one.answer);
    if (one.isInbound || one.answer === 'SYN-ACK') this.handshakeFacts(subject, one);
    if (one.answer !== 'SYN-ACK') return;
    const wasReset = one.guestReset || one.networkReset;
    const sent = one.toGuest.bytes();
    const toGuest = { text: `${sent.length} bytes`, bytes: sent };
    this.put(
      subject,
      'tcp.toGuest',
      wasReset ? { ...toGuest, needed: Math.min(one.ackedByGuest, sent.length) } : toGuest,
    );
    const taken = one.toHost.bytes(0, one.ackedByNetwork);
    this.put(subject, 'tcp.toHost', { text: `${taken.length} bytes`, bytes: taken, needed: taken.length });
    const ended = [...(one.toGuest.finAt >= 0 ? ['FIN'] : []), ...(one.networkReset ? ['RST'] : [])];
    this.set(subject, 'tcp.close', ended.join(', ') || 'open');
    if (one.toHost.isWhole && !wasReset) {
      const acknowledged = one.ackedByNetwork > one.toHost.length;
      this.set(subject, 'tcp.finAcknowledged', acknowledged ? 'yes' : 'no');
    }
  }

  private handshakeFacts(subject: string, one: TcpConversation): void {
    const said = one.networkOptions;
    const asked = one.guestOptions;
    if (said === null) return;
    this.set(subject, 'tcp.mss', said.mss === 0 ? 'none' : String(said.mss));
    const offered = (yes: boolean, theirs: boolean): string =>
      yes && (one.isInbound || theirs) ? 'yes' : 'no';
    this.set(subject, 'tcp.windowScale', offered(said.windShift >= 0, (asked?.windShift ?? -1) >= 0));
    this.set(subject, 'tcp.sack', offered(said.sackPermitted, asked?.sackPermitted === true));
    this.set(subject, 'tcp.timestamps', offered(said.hasTimestamps, asked?.hasTimestamps === true));
  }

  private tcpName(one: TcpConversation): string {
    const nth = / #\d+$/.exec(one.name)?.[0] ?? '';
    const guest = endpointText(this.name(one.guestAddress), one.guestPort);
    const remote = this.text(one.remoteAddress);
    return one.isInbound ? `* > ${guest}${nth}` : `${guest} > ${remote}:${one.remotePort}${nth}`;
  }

  private asked(op: number, sender: number, target: number): void {
    // Its own address: it wants to hear that nobody has it. RFC 5227 2.1.1.
    if (op !== arp.Op.Request || sender === target) return;
    this.first(`arp ${this.text(target)}`, 'arp.answer', 'silence');
  }

  private udpAsked({ ip, memory }: Decoded): void {
    if (ip === null || ip.fragmentOffset > 0 || ip.end - ip.l4 < UDP_PORTS_LEN) return;
    const from = [ip.src, memory.view.getUint16(ip.l4)] as const;
    if (this.spoken.size < MAX_SUBJECTS)
      this.spoken.add(this.udpName(from, [ip.dst, memory.view.getUint16(ip.l4 + 2)]));
  }

  private udpName(guest: readonly [number, number], remote: readonly [number, number]): string {
    return `udp ${endpointText(this.name(guest[0]), guest[1])} < ${endpointText(this.name(remote[0]), remote[1])}`;
  }

  private udpSaid(frame: Decoded, src: number, dst: number): void {
    const payload = this.fragments.add(frame);
    const datagram = payload === null ? null : decodeUdp(payload);
    if (datagram === null) return;
    const subject = this.udpName([dst, datagram.dstPort], [src, datagram.srcPort]);
    // Whoever else speaks first is a client of the host's; a name service does not.
    if (datagram.srcPort === DNS_PORT && !this.spoken.has(subject)) return;
    const list = this.datagrams.get(subject) ?? [];
    if (this.datagrams.size < MAX_SUBJECTS) this.datagrams.set(subject, list);
    list.push(Uint8Array.from(datagram.payload));
  }

  private icmpSaid(frame: Decoded, src: number, guest: string): void {
    const message = decodeIcmp(frame);
    if (message?.type === icmp.Type.EchoReply) this.answer(`ping ${this.text(src)}`, 'icmp.echo', 'answered');
    const about = message?.quoted;
    if (message === null || about === undefined || about === null) return;
    const said = `ICMP ${message.type}/${message.code}` as const;
    const from: readonly [number, number] = [about.src, about.srcPort];
    if (about.proto === Protocol.Tcp) {
      const one = this.tcp.find(guest, from, [about.dst, about.dstPort]);
      if (one?.answer === 'none') one.answer = said;
    }
    if (about.proto !== Protocol.Udp) return;
    const subject = this.udpName(from, [about.dst, about.dstPort]);
    if (this.spoken.has(subject)) this.set(subject, 'udp.refusal', said);
  }

  /** Messages of one exchange have one xid; a client's exchanges are counted. */
  private beginExchange({ chaddr, xid }: dhcp.DhcpMessage): string {
    const client = formatMac(chaddr.hi, chaddr.lo);
    const key = `${client} ${xid}`;
    const known = this.exchanges.get(key);
    if (known !== undefined) return known;
    const nth = (this.exchangeCounts.get(client) ?? 0) + 1;
    const exchange = `dhcp ${client} #${nth}`;
    if (this.exchanges.size < MAX_SUBJECTS) {
      this.exchangeCounts.set(client, nth);
      this.exchanges.set(key, exchange);
    }
    return exchange;
  }

  private dhcpAsked(frame: Decoded): boolean {
    const message = dhcpOf(frame);
    if (message === null || message.op !== dhcp.Op.Request) return false;
    const { type } = message;
    const subject = this.beginExchange(message);
    if (type === dhcp.MessageType.Discover) this.first(subject, 'lease.offer', 'none');
    if (type === dhcp.MessageType.Request) this.first(subject, 'lease.answer', 'none');
    if (type === dhcp.MessageType.Inform) this.first(subject, 'dhcp.inform', 'none');
    return true;
  }

  private dhcpAnswered(frame: Decoded): boolean {
    const message = dhcpOf(frame);
    if (message === null || message.op !== dhcp.Op.Reply) return false;
    const { type, chaddr, xid } = message;
    const { Offer, Ack, Nak } = dhcp.MessageType;
    const subject = this.exchanges.get(`${formatMac(chaddr.hi, chaddr.lo)} ${xid}`);
    if (subject === undefined) return true;
    if (type === Offer) this.answer(subject, 'lease.offer', 'OFFER');
    if (type === Nak) this.answer(subject, 'lease.answer', 'NAK');
    // What acknowledges an INFORM gives no address. RFC 2131 4.3.5.
    const acknowledged = message.yiaddr === 0 ? 'dhcp.inform' : 'lease.answer';
    if (type === Ack) this.answer(subject, acknowledged, 'ACK');
    const isGiven = type === Offer || type === Ack;
    if (isGiven && this.has(subject, type === Offer ? 'lease.offer' : acknowledged))
      this.leaseFacts(subject, message);
    return true;
  }

  private leaseFacts(subject: string, message: dhcp.DhcpMessage): void {
    const lease = readParameters(message);
    const list = (words: readonly number[]): string =>
      words.map((word) => this.text(word)).join(' ') || 'none';
    this.set(subject, 'lease.address', formatIpv4Word(lease.address));
    this.set(subject, 'lease.mask', lease.subnetMask === null ? 'none' : formatIpv4Word(lease.subnetMask));
    this.set(subject, 'lease.router', list(lease.routers));
    this.set(subject, 'lease.dns', list(lease.dns));
    this.set(subject, 'lease.seconds', lease.leaseSeconds === null ? 'none' : String(lease.leaseSeconds));
    this.set(subject, 'lease.server', list(lease.serverId === null ? [] : [lease.serverId]));
    const codes = [...message.options.keys()].filter((code) => !LEASE_OPTIONS.includes(code));
    this.set(subject, 'dhcp.options', codes.sort((a, b) => a - b).join(' ') || 'none');
  }

  private text(address: number): string {
    return formatIpv4Word(this.name(address));
  }

  private first(subject: string, field: string, text: string): void {
    if (!this.has(subject, field)) this.put(subject, field, { text });
  }

  private answer(subject: string, field: string, text: string): void {
    if (this.has(subject, field)) this.put(subject, field, { text });
  }

  private has(subject: string, field: string): boolean {
    return this.facts.get(subject)?.has(field) === true;
  }

  private set(subject: string, field: string, text: string): void {
    this.put(subject, field, { text });
  }

  private put(subject: string, field: string, fact: Fact): void {
    let fields = this.facts.get(subject);
    if (fields === undefined) {
      if (this.facts.size >= MAX_SUBJECTS) return;
      fields = new Map();
      this.facts.set(subject, fields);
    }
    fields.set(field, fact);
  }
}

/** Each with its length in front, so that the borders count. */
function joined(list: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(list.reduce((sum, one) => sum + 2 + one.length, 0));
  let at = 0;
  for (const one of list) {
    all[at] = one.length >>> 8;
    all[at + 1] = one.length & 255;
    all.set(one, at + 2);
    at += 2 + one.length;
  }
  return all;
}
