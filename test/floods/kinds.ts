// The ways in which a guest may flood. Each writes its n-th frame; the same seed writes the same flood.

import { type Mac, parseIpv4Word } from '../../src/base/addr.ts';
import * as dhcp from '../../src/wire/dhcp.ts';
import {
  buildDecline,
  buildDiscover,
  buildRelease,
  buildRequest,
  type DhcpClient,
} from '../../src/wire/dhcp-client.ts';
import { Protocol } from '../../src/wire/ipv4.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { BROADCAST, DNS, type FrameWriter, GATEWAY, gatewayMac } from './frames.ts';

/** What a flood is aimed at. Addresses are IPv4 words, ports those of the host behind the gateway's address. */
export interface Targets {
  /** The well-behaved guest, and the ports of its conversations with the gateway's address. */
  readonly victim: { readonly mac: Mac; readonly address: number; readonly ports: readonly number[] };
  /** Ports where connections are taken, are refused, and hang. */
  readonly open: number;
  readonly refusing: number;
  readonly hanging: number;
}

/** Writes the n-th frame, good until the next is written. */
export type FloodFrames = (w: FrameWriter, n: number, targets: Targets) => Uint8Array;

export interface Flood {
  readonly frames: FloodFrames;
  /** Counters of drops and losses that say what became of it. */
  readonly counts: readonly string[];
  /** It says that every address is its own: then nobody who comes later has one, as on any Ethernet segment. */
  readonly claimsAll?: boolean;
}

function flood(counts: readonly string[], frames: FloodFrames): Flood {
  return { frames, counts };
}

const FIRST_GUEST = 0x0a00020f;
const NETWORK = 0x0a000200;
const EMPTY = new Uint8Array(0);
const WORLD = parseIpv4Word('198.18.0.0')!;
const QUERY = Uint8Array.from(
  Buffer.from('000001000001000000000000076578616d706c6503636f6d0000010001', 'hex'),
);

/** An address of the world: 198.18.0.0/15, RFC 2544. */
function anywhere(w: FrameWriter): number {
  return WORLD | (w.random.word() & 0x1ffff);
}

/** A port that is not zero. */
function port(w: FrameWriter): number {
  return 1 + w.random.below(65535);
}

/** A MAC that is nobody's: locally administered, no group. */
function madeUp(w: FrameWriter): Mac {
  return { hi: 0x0200 | (w.random.word() & 0xff), lo: w.random.word() };
}

function syn(w: FrameWriter, dst: number, dport: number): Uint8Array {
  return w.tcp({ dst, dport, sport: port(w), seq: w.random.word(), flags: Flag.Syn });
}

function client(w: FrameWriter, mac: Mac): DhcpClient {
  const wishes = { broadcast: true, clientId: null, hostname: null, parameters: [1, 3, 6, 26, 51] };
  return { mac, xid: w.random.word(), secs: 0, ...wishes };
}

function bootp(w: FrameWriter, mac: Mac, payload: Uint8Array): Uint8Array {
  const ports = { sport: dhcp.CLIENT_PORT, dport: dhcp.SERVER_PORT };
  // What goes to everybody has reached somebody, whatever the server makes of it.
  const to = w.random.below(2) === 0 ? BROADCAST : gatewayMac();
  return w.udp({ from: mac, to, src: 0, dst: -1, ...ports, payload });
}

/** The n-th MAC of those that take leases: as many as there can be. */
function leaser(n: number): Mac {
  return { hi: 0x0210, lo: n };
}

/** The addresses of 10.0.2.0/24 but `not`, one after the other, again and again. */
function everyAddress(n: number, not: readonly number[]): number {
  const address = NETWORK | (n & 255);
  return not.includes(address) ? NETWORK | 77 : address;
}

export const FLOODS: Readonly<Record<string, Flood>> = {
  'first fragments of datagrams that never end': flood(['FragmentsExpired'], (w) =>
    w.fragment({
      dst: w.random.below(2) === 0 ? GATEWAY : anywhere(w),
      src: NETWORK | (4 + w.random.below(250)),
      proto: w.random.below(4) === 0 ? w.random.below(256) | 2 : Protocol.Udp,
      ident: w.random.word() & 0xffff,
      offset: 0,
      len: 1480,
      more: true,
    }),
  ),
  'small fragments at the end of the longest datagram': flood(['FragmentsExpired'], (w) =>
    w.fragment({
      dst: GATEWAY,
      proto: Protocol.Udp,
      ident: w.random.word() & 0xffff,
      offset: 65472 - 8 * w.random.below(64),
      len: 8,
      more: true,
    }),
  ),
  'fragments that never touch, of a few datagrams': flood(['FragmentBad', 'FragmentOverlap'], (w, n) =>
    w.fragment({
      dst: GATEWAY,
      proto: Protocol.Udp,
      ident: n & 15,
      offset: 16 * w.random.below(4090),
      len: 8,
      more: true,
    }),
  ),
  'SYNs to everywhere': flood(['TcpFlowsFull', 'PendingConnectsFull'], (w) => syn(w, anywhere(w), port(w))),
  'SYNs to ports that refuse': flood([], (w, _, t) => syn(w, GATEWAY, t.refusing)),
  'SYNs to a port that hangs': flood(['TcpFlowsFull', 'PendingConnectsFull'], (w, _, t) =>
    syn(w, GATEWAY, t.hanging),
  ),
  'SYNs to a port that accepts': flood(['TcpFlowsFull'], (w, _, t) => syn(w, GATEWAY, t.open)),
  'connections to a port that accepts, reset at once': flood([], (w, n, t) => {
    const ends = { dst: GATEWAY, dport: t.open, sport: 1024 + ((n >>> 1) % 60000) };
    const seq = 1000 + n;
    return n % 2 === 0 ? w.tcp({ ...ends, seq, flags: Flag.Syn }) : w.tcp({ ...ends, seq, flags: Flag.Rst });
  }),
  'segments without a flow': flood(['TcpNoFlow'], (w) =>
    w.tcp({
      ...{ dst: w.random.below(2) === 0 ? GATEWAY : anywhere(w), sport: port(w), dport: port(w) },
      ...{
        seq: w.random.word(),
        ack: w.random.word(),
        flags: Flag.Ack | (w.random.word() & Flag.Fin),
        len: 6,
      },
    }),
  ),
  'segments with any flags at all, from the ports of the other guest': flood(
    ['TcpNoFlow', 'TcpNotAcceptable'],
    (w, n, t) =>
      w.tcp({
        ...{ src: n % 2 === 0 ? t.victim.address : w.address, dst: GATEWAY },
        ...{
          sport: t.victim.ports[n % t.victim.ports.length]!,
          dport: w.random.below(2) === 0 ? t.open : port(w),
        },
        ...{ seq: w.random.word(), ack: w.random.word(), flags: w.random.word() & 0x3f, len: 6 },
      }),
  ),
  'made-up source MACs': flood(['MacEvicted'], (w) => {
    const mac = madeUp(w);
    return w.arp(1, mac, FIRST_GUEST | 0x80, { hi: 0, lo: 0 }, GATEWAY, gatewayMac());
  }),
  'made-up source MACs to made-up MACs': flood(['MacEvicted', 'EthernetFloodLimited', 'FloodLimited'], (w) =>
    w.raw(madeUp(w), madeUp(w), 0x0800, 46),
  ),
  'DHCP discovers of made-up clients': flood(['MacEvicted'], (w) => {
    const mac = madeUp(w);
    return bootp(w, mac, buildDiscover(client(w, mac), null));
  }),
  'DHCP exchanges until the pool is empty': flood(['DhcpPoolEmpty'], (w, n) => {
    const mac = leaser(n >>> 1);
    if (n % 2 === 0) return bootp(w, mac, buildDiscover(client(w, mac), NETWORK | (15 + ((n >>> 1) % 240))));
    const requested = NETWORK | (15 + ((n >>> 1) % 240));
    return bootp(w, mac, buildRequest(client(w, mac), { requested, serverId: GATEWAY }));
  }),
  "DHCP in the other guest's name": flood(['DhcpNotForUs'], (w, n, t) => {
    const { mac, address } = t.victim;
    const from = client(w, mac);
    const messages = [
      () => buildRelease(from, address, GATEWAY),
      () => buildDecline(from, address, GATEWAY),
      () => buildDiscover(from, null),
      () => buildRequest(from, { requested: address, serverId: 0x0a0002fe }),
      () => buildRequest(from, { requested: address }),
    ];
    return bootp(w, w.mac, messages[n % messages.length]!());
  }),
  'ARP requests for every address': flood(['EthernetFloodLimited', 'FloodLimited'], (w, n) =>
    w.arp(1, w.mac, w.address, { hi: 0, lo: 0 }, NETWORK | (n & 255), BROADCAST),
  ),
  'ARP announcements of every address': {
    counts: ['EthernetFloodLimited', 'FloodLimited', 'MacEvicted'],
    claimsAll: true,
    frames: (w, n, t) => {
      const address = everyAddress(n, [GATEWAY, DNS, t.victim.address]);
      return w.arp(1 + (n & 1), madeUp(w), address, { hi: 0, lo: 0 }, address, BROADCAST);
    },
  },
  'UDP from every port to every port': flood(['UdpFlowEvicted'], (w) =>
    w.udp({
      ...{ src: NETWORK | (4 + w.random.below(250)), dst: w.random.below(2) === 0 ? GATEWAY : anywhere(w) },
      ...{ sport: port(w), dport: port(w), payload: EMPTY },
    }),
  ),
  'UDP from one port to everywhere': flood(['UdpRemoteEvicted'], (w) =>
    w.udp({ dst: anywhere(w), sport: 4000, dport: port(w), payload: EMPTY }),
  ),
  'UDP of full size': flood(['IcmpRateLimited'], (w, _, t) =>
    w.udp({ dst: GATEWAY, sport: 4000, dport: t.refusing, payload: new Uint8Array(1472) }),
  ),
  'name queries': flood([], (w) => {
    const payload = Uint8Array.from(QUERY);
    new DataView(payload.buffer).setUint16(0, w.random.word() & 0xffff);
    return w.udp({ dst: DNS, sport: port(w), dport: 53, payload });
  }),
  'broadcasts of full size': flood(['EthernetFloodLimited', 'FloodLimited'], (w) =>
    w.udp({ to: BROADCAST, dst: -1, sport: 4000, dport: 4000, payload: new Uint8Array(1472) }),
  ),
  'small frames for nobody': flood(['EthernetFloodLimited', 'FloodLimited'], (w) =>
    w.raw({ hi: 0x0200, lo: 7 }, w.mac, 0x88b5, 46),
  ),
  'frames of full size to the other guest': flood(['LinkQueueFull'], (w, _, t) =>
    w.raw(t.victim.mac, w.mac, 0x88b5, 1500),
  ),
  'small frames to the other guest': flood(['LinkQueueFull'], (w, _, t) =>
    w.raw(t.victim.mac, w.mac, 0x88b5, 46),
  ),
  'datagrams with forged sources': flood(['Ipv4BadSource', 'UdpFlowEvicted'], (w, n, t) =>
    w.udp({
      ...{ src: [GATEWAY, t.victim.address, anywhere(w), 0x7f000001][n & 3]!, dst: GATEWAY },
      ...{ sport: port(w), dport: t.refusing, payload: EMPTY },
    }),
  ),
  'any bytes': flood(['ArpMalformed', 'Ipv4BadHeader'], (w) =>
    w.raw(gatewayMac(), w.mac, w.random.below(2) === 0 ? 0x0800 : 0x0806, w.random.below(200)),
  ),
  'frames of 14 bytes': flood(['Ipv4BadHeader'], (w) => w.raw(gatewayMac(), w.mac, 0x0800, 0)),
  'echo requests': flood(['IcmpByDesign'], (w) => w.packet({}, w.address, GATEWAY, Protocol.Icmp, 64)),
};
