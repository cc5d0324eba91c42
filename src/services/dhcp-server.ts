// The DHCP and BOOTP server of the gateway, RFC 2131 4.3 and RFC 951. Every message is answered at once, out of the
// lease table (dhcp-leases.ts); there is no timer and no state of an exchange beyond the leases. It is the only server
// of its network and says so: where RFC 2131 4.3.2 has a server without a record of a client stay silent, because
// another might have one, this one decides.

import { formatIpv4Word, formatMac, ipv4Addr, parseIpv4Word } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { Drop } from '../base/drop.ts';
import type { DhcpSettings, Settings } from '../base/settings.ts';
import { type Turn, Work } from '../base/turn.ts';
import {
  BOOTP_LEN,
  BROADCAST,
  build,
  CLIENT_PORT,
  type DhcpMessage,
  MessageType,
  MIN_MAX_MESSAGE_SIZE,
  Op,
  parse,
  SERVER_PORT,
} from '../wire/dhcp.ts';
import { number, Option, type OptionValue, readNumber, readWord, text } from '../wire/dhcp-options.ts';
import { isGroup } from '../wire/ethernet.ts';
import { type Client, DhcpLeases, type LeaseRow } from './dhcp-leases.ts';
import { inRequestedOrder, networkOptions, timeOptions } from './dhcp-parameters.ts';
import type { BoundPort, GatewayPorts, Peer, Service } from './service.ts';

const LIMITED_BROADCAST = -1;
const BROADCAST_MAC = { hi: 0xffff, lo: -1 };
const IP_UDP_HEADERS = 28;
/** Longer client ids are refused: they are kept. RFC 2132 9.14 has no limit. */
const MAX_CLIENT_ID = 255;

/** Leases of the table that one unit of work looks through. */
const LEASES_PER_UNIT = 8;

/** A new lease, in text. */
export type LeaseListener = (mac: string, address: string) => void;

export class DhcpServer implements Service {
  readonly name = 'dhcp';
  private readonly settings: Settings;
  private readonly dhcp: DhcpSettings;
  private readonly table: DhcpLeases;
  private readonly parameters: readonly OptionValue[];
  private readonly nextServer: number;
  private readonly onLease: LeaseListener;
  private port: BoundPort | null = null;
  private memory: DataView | null = null;
  private turn: Turn | null = null;

  /** `onLease` is called for each lease that is new, not for its renewals. */
  constructor(settings: Settings, dhcp: DhcpSettings, onLease: LeaseListener) {
    this.settings = settings;
    this.dhcp = dhcp;
    this.table = new DhcpLeases(settings, dhcp);
    this.parameters = networkOptions(settings, dhcp);
    this.nextServer = parseIpv4Word(dhcp.tftpServerName ?? '') ?? settings.gateway;
    this.onLease = onLease;
  }

  start(ports: GatewayPorts): void {
    this.memory = ports.arena.memory.view;
    this.turn = ports.turn;
    this.port = ports.bindUdp(this.settings.gateway, SERVER_PORT, (off, len, from, now) =>
      this.receive(off, len, from, now),
    );
  }

  stop(): void {
    this.port?.close();
    this.port = null;
  }

  forgetPort(ingress: number): void {
    this.table.forgetPort(ingress);
  }

  /** The leases in force. */
  leases(now: Ms): LeaseRow[] {
    return this.table.rows(now);
  }

  private receive(off: number, len: number, from: Peer, now: Ms): Drop {
    // The table is looked through for each message.
    this.turn?.spend(Work.Message + this.table.size / LEASES_PER_UNIT);
    const message = this.memory === null ? null : parse(this.memory, off, len);
    if (message === null || message.op !== Op.Request) return Drop.DhcpMalformed;
    const client = clientOf(message, from);
    if (client === null) return Drop.DhcpMalformed;
    // RFC 2131 4.3.1: the network is the relay's where there is one; we have this one only.
    if (message.giaddr !== 0 && !this.isGuest(message.giaddr)) return Drop.DhcpNotForUs;
    switch (message.type) {
      case MessageType.None:
        return this.bootp(message, client, from, now);
      case MessageType.Discover:
        return this.discover(message, client, from, now);
      case MessageType.Request:
        return this.request(message, client, from, now);
      case MessageType.Decline:
        return this.decline(message, client, now);
      case MessageType.Release:
        return this.release(message, client, now);
      case MessageType.Inform:
        return this.inform(message, from);
      case MessageType.Offer:
      case MessageType.Ack:
      case MessageType.Nak:
        return Drop.DhcpMalformed;
      default:
        return Drop.DhcpNotForUs;
    }
  }

  private discover(message: DhcpMessage, client: Client, from: Peer, now: Ms): Drop {
    const wanted = readWord(message.options, Option.RequestedAddress) ?? 0;
    const address = this.table.offer(client, wanted, now);
    if (address === null) return Drop.DhcpPoolEmpty;
    this.reply(message, from, MessageType.Offer, address);
    return Drop.None;
  }

  private request(message: DhcpMessage, client: Client, from: Peer, now: Ms): Drop {
    if (this.isForAnother(message)) {
      this.table.withdrawOffers(client, now);
      return Drop.DhcpNotForUs;
    }
    // RFC 2131 4.3.2: SELECTING and INIT-REBOOT name the address in option 50, RENEWING and REBINDING in ciaddr.
    const address = readWord(message.options, Option.RequestedAddress) ?? message.ciaddr;
    if (address === 0) return Drop.DhcpMalformed;
    if (this.bind(client, address, now)) this.reply(message, from, MessageType.Ack, address);
    else this.refuse(message, from);
    return Drop.None;
  }

  private decline(message: DhcpMessage, client: Client, now: Ms): Drop {
    const address = readWord(message.options, Option.RequestedAddress);
    if (address === null) return Drop.DhcpMalformed;
    if (this.isForAnother(message)) return Drop.DhcpNotForUs;
    return this.table.decline(client, address, now) ? Drop.None : Drop.DhcpNotForUs;
  }

  private release(message: DhcpMessage, client: Client, now: Ms): Drop {
    if (this.isForAnother(message)) return Drop.DhcpNotForUs;
    return this.table.release(client, message.ciaddr, now) ? Drop.None : Drop.DhcpNotForUs;
  }

  /** RFC 2131 4.3.5: parameters without an address and without times, to a client that has an address. */
  private inform(message: DhcpMessage, from: Peer): Drop {
    const ciaddr = message.ciaddr !== 0 ? message.ciaddr : from.addr.w3;
    if (ciaddr === 0) return Drop.DhcpMalformed;
    const list = this.options(message, MessageType.Ack, []);
    this.send({ ...message, ciaddr }, from, { yiaddr: 0, options: list, maxLen: maxLenOf(message) });
    return Drop.None;
  }

  /** RFC 951: one message each way. RFC 1534 2: an address given so is bound at once; ours expires like the others. */
  private bootp(message: DhcpMessage, client: Client, from: Peer, now: Ms): Drop {
    let yiaddr = 0;
    if (message.ciaddr === 0) {
      const address = this.table.offer(client, 0, now);
      if (address === null || !this.bind(client, address, now)) return Drop.DhcpPoolEmpty;
      yiaddr = address;
    }
    // RFC 1534 2: no options that belong to DHCP.
    this.send(message, from, { yiaddr, options: this.parameters, maxLen: BOOTP_LEN });
    return Drop.None;
  }

  private bind(client: Client, address: number, now: Ms): boolean {
    const bound = this.table.bind(client, address, now);
    if (bound === 'new') this.onLease(formatMac(client.mac.hi, client.mac.lo), formatIpv4Word(address));
    return bound !== null;
  }

  /** An OFFER or ACK with everything in it. RFC 2131 table 3. */
  private reply(message: DhcpMessage, from: Peer, type: number, yiaddr: number): void {
    const options = this.options(message, type, timeOptions(this.dhcp.leaseSeconds));
    this.send(message, from, { yiaddr, options, maxLen: maxLenOf(message) });
  }

  private refuse(message: DhcpMessage, from: Peer): void {
    const options: OptionValue[] = [
      ...this.head(message, MessageType.Nak),
      [Option.Message, text('not your address')],
    ];
    const fields = {
      op: Op.Reply,
      xid: message.xid,
      secs: 0,
      ciaddr: 0,
      yiaddr: 0,
      siaddr: 0,
      sname: '',
      file: '',
    };
    const { giaddr, chaddr } = message;
    // RFC 2131 4.3.2: a relay must broadcast it, because the client's address is what is wrong.
    const flags = giaddr === 0 ? message.flags : message.flags | BROADCAST;
    const to = giaddr === 0 ? toAll(from) : toRelay(giaddr, from);
    this.port?.send(build({ ...fields, flags, giaddr, chaddr }, options, maxLenOf(message)), to);
  }

  private send(
    message: DhcpMessage,
    from: Peer,
    what: { readonly yiaddr: number; readonly options: readonly OptionValue[]; readonly maxLen: number },
  ): void {
    const { xid, flags, giaddr, chaddr, ciaddr } = message;
    const fields = {
      op: Op.Reply,
      xid,
      secs: 0,
      flags,
      ciaddr: message.type === MessageType.Discover ? 0 : ciaddr,
      yiaddr: what.yiaddr,
      siaddr: this.nextServer,
      giaddr,
      chaddr,
      sname: this.dhcp.tftpServerName ?? '',
      file: this.dhcp.bootfile ?? '',
    };
    this.port?.send(build(fields, what.options, what.maxLen), destination(fields, from));
  }

  /** Option 53 first, then who we are, then times, then what the client asked for in its order, then the rest. */
  private options(message: DhcpMessage, type: number, times: readonly OptionValue[]): OptionValue[] {
    const wishes = message.options.get(Option.ParameterList);
    const rest = [...times.slice(1), ...this.parameters];
    return [...this.head(message, type), ...times.slice(0, 1), ...inRequestedOrder(rest, wishes)];
  }

  private head(message: DhcpMessage, type: number): OptionValue[] {
    const head: OptionValue[] = [
      [Option.MessageType, number(1, type)],
      [Option.ServerId, number(4, this.settings.gateway)],
    ];
    const id = message.options.get(Option.ClientId);
    // RFC 6842 3: the client id goes back, also in a NAK.
    return id === undefined ? head : [...head, [Option.ClientId, id]];
  }

  private isForAnother(message: DhcpMessage): boolean {
    const server = readWord(message.options, Option.ServerId);
    return server !== null && server !== this.settings.gateway;
  }

  /** Could it be the address of a guest of this network? */
  private isGuest(address: number): boolean {
    const { subnet, mask, broadcast, gateway } = this.settings;
    if (((address ^ subnet) & mask) !== 0) return false;
    return address !== subnet && address !== broadcast && address !== gateway;
  }
}

/** Null when the hardware address is none, or the client id longer than what is kept. */
function clientOf(message: DhcpMessage, from: Peer): Client | null {
  const { hi, lo } = message.chaddr;
  const id = message.options.get(Option.ClientId) ?? new Uint8Array(0);
  if (isGroup(hi) || (hi === 0 && lo === 0) || id.length > MAX_CLIENT_ID) return null;
  return { mac: message.chaddr, id: [...id].join('.'), ingress: from.ingress };
}

/** Bytes of the longest reply that the client takes: option 57, never below what all take. RFC 2132 9.10. */
function maxLenOf(message: DhcpMessage): number {
  const size = readNumber(message.options, Option.MaxMessageSize, 2) ?? MIN_MAX_MESSAGE_SIZE;
  return Math.min(Math.max(size, MIN_MAX_MESSAGE_SIZE), MAX_REPLY) - IP_UDP_HEADERS;
}

/** What an Ethernet frame carries: many clients cannot put fragments together before they have an address. */
const MAX_REPLY = 1500;

/** RFC 2131 4.1: the relay, else the client's own address, else all if it says so, else the address it is given. */
function destination(
  reply: Pick<DhcpMessage, 'giaddr' | 'ciaddr' | 'yiaddr' | 'flags' | 'chaddr'>,
  from: Peer,
): Peer {
  const { ingress } = from;
  if (reply.giaddr !== 0) return toRelay(reply.giaddr, from);
  if (reply.ciaddr !== 0)
    return { addr: ipv4Addr(reply.ciaddr), port: CLIENT_PORT, mac: reply.chaddr, ingress };
  if (reply.flags & BROADCAST) return toAll(from);
  return { addr: ipv4Addr(reply.yiaddr), port: CLIENT_PORT, mac: reply.chaddr, ingress };
}

function toRelay(giaddr: number, from: Peer): Peer {
  return { addr: ipv4Addr(giaddr), port: SERVER_PORT, mac: from.mac, ingress: from.ingress };
}

function toAll(from: Peer): Peer {
  return { addr: ipv4Addr(LIMITED_BROADCAST), port: CLIENT_PORT, mac: BROADCAST_MAC, ingress: from.ingress };
}
