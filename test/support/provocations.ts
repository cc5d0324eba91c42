// A story for every reason why a frame stops, and for every reason why something is lost later.

import type { DropName, LossName } from '../../src/base/drop.ts';
import { BATCH_LEN } from '../../src/link/transmit.ts';
import type { NetworkConfig } from '../../src/network/config.ts';
import { FRAMES } from './frames.ts';
import { to } from './guest-bench.ts';
import { ACK, arp, BROADCAST_MAC, DNS_MAC, echo, ethernet, ipv4, PSH, SYN, tcp, udp } from './raw-frames.ts';
import type { RawBench, RawLink } from './raw-guest.ts';
import { starve } from './starve.ts';

/** Everything but the last frame of the story; the returned function tells it. */
export type Story = (bench: RawBench) => (() => void) | Promise<() => void>;

export interface Provocation {
  readonly config?: NetworkConfig;
  readonly maxFrame?: number;
  readonly story: Story;
}

/** One frame, no story before it. */
export function frame(bytes: Uint8Array): Provocation {
  return { story: (bench) => () => bench.sends(bytes) };
}

/** Frames of one guest that are flooded at once. */
const FLOOD_BURST = 1000;
const OTHER_MAC = '52:54:00:00:00:02';

/** A second guest whose MAC the switch knows. */
function other(bench: RawBench, maxFrame = 1514): RawLink {
  const link = bench.plug('raw1', maxFrame);
  link.sends(arp(1, '10.0.2.16', '10.0.2.2', { from: OTHER_MAC }));
  return link;
}

const bootp = (bytes: Buffer): Buffer =>
  udp(bytes, { src: '0.0.0.0', dst: '255.255.255.255', to: BROADCAST_MAC, sport: 68, dport: 67 });
const dnsQuery = (id: number): Buffer => {
  const message = Buffer.from('000001000001000000000000076578616d706c6503636f6d0000010001', 'hex');
  message.writeUInt16BE(id);
  return udp(message, { dst: '10.0.2.3', to: DNS_MAC, sport: 3000 + id, dport: 53 });
};
/** The DHCP message of one of FRAMES, from a machine with this MAC's last byte. */
const dhcpOf = (frame: Uint8Array, lastByte: number): Buffer => {
  const bytes = Buffer.from(frame.subarray(42));
  bytes[33] = lastByte;
  return bytes;
};

export const drops: Readonly<Record<Exclude<DropName, 'None'>, Provocation>> = {
  EthernetTooShort: frame(Buffer.alloc(13)),
  EthernetUnknownType: frame(FRAMES.lldp),
  EthernetVlan: frame(FRAMES.vlanArpRequest),
  EthernetBadSource: frame(arp(1, '10.0.2.15', '10.0.2.2', { from: '01:00:5e:00:00:01' })),
  EthernetNotForUs: frame(ethernet(Buffer.alloc(46), { to: OTHER_MAC })),
  ArpMalformed: frame(arp(3, '10.0.2.15', '10.0.2.2')),
  ArpNotForUs: frame(arp(1, '10.0.2.15', '10.0.2.77')),
  Ipv4BadHeader: frame(ipv4(Buffer.alloc(8), { version: 5 })),
  Ipv4BadLength: frame(ipv4(Buffer.alloc(8), { totalLen: 200 })),
  Ipv4BadChecksum: frame(ipv4(Buffer.alloc(8), { badChecksum: true })),
  Ipv4BadSource: frame(udp('x', { src: '192.0.2.1' })),
  Ipv4NotRouted: frame(udp('x', { dst: '127.0.0.1' })),
  Ipv4GroupNotServed: frame(udp('x', { dst: '224.0.0.251', to: '01:00:5e:00:00:fb' })),
  Ipv4TtlZero: frame(udp('x', { ttl: 0 })),
  Ipv4UnknownProtocol: frame(ipv4(Buffer.alloc(8), { proto: 132 })),
  FragmentBad: frame(ipv4(Buffer.alloc(13), { more: true })),
  FragmentNoRoom: {
    story: (bench) => {
      starve(bench.network.arena);
      return () => bench.sends(ipv4(Buffer.alloc(8), { offset: 8, more: true }));
    },
  },
  IcmpByDesign: frame(echo()),
  UdpBadLength: frame(udp('x', { udpLen: 30 })),
  UdpBadChecksum: frame(udp('x', { badUdpChecksum: true })),
  UdpNoService: frame(udp('x', { dst: '10.0.2.3', to: DNS_MAC, dport: 9 })),
  UdpPortZero: frame(udp('x', { dport: 0 })),
  UdpHostQueueFull: {
    story: (bench) => {
      bench.sends(udp('x'));
      bench.host.socket.full = true;
      return () => bench.sends(udp('x'));
    },
  },
  TcpBadOffset: frame(tcp({ tcpHeaderLen: 24 })),
  TcpBadChecksum: frame(tcp({ badTcpChecksum: true })),
  TcpPortZero: frame(tcp({ sport: 0 })),
  TcpNoFlow: frame(tcp({ flags: ACK })),
  TcpFlowsFull: {
    config: { limits: { tcpFlows: 1 } },
    story: (bench) => {
      bench.sends(tcp({ sport: 1 }));
      return () => bench.sends(tcp({ sport: 2 }));
    },
  },
  TcpNotAcceptable: {
    story: (bench) => {
      const next = bench.connected();
      return () => bench.sends(tcp({ ...next, seq: 900_000, flags: ACK | PSH }, 'beyond the window'));
    },
  },
  TcpArenaFull: {
    story: (bench) => {
      const next = bench.connected();
      starve(bench.network.arena);
      return () => bench.sends(tcp({ ...next, flags: ACK | PSH }, 'no room'));
    },
  },
  PolicyDenied: frame(tcp({ dst: '169.254.169.254' })),
  DhcpMalformed: frame(bootp(Buffer.alloc(100))),
  DhcpNotForUs: {
    story: (bench) => {
      const bytes = dhcpOf(FRAMES.dhcpRequest, 0x77);
      // The address of another network's server, option 54 before END.
      const end = bytes.lastIndexOf(0xff);
      const elsewhere = Buffer.from([54, 4, 192, 0, 2, 1, 0xff]);
      return () => bench.sends(bootp(Buffer.concat([bytes.subarray(0, end), elsewhere])));
    },
  },
  DhcpPoolEmpty: {
    config: { dhcp: { first: '10.0.2.15', last: '10.0.2.15', staticLeases: { [OTHER_MAC]: '10.0.2.15' } } },
    story: (bench) => () => bench.sends(bootp(dhcpOf(FRAMES.dhcpDiscover, 0x77))),
  },
  DnsMalformed: frame(udp('no query', { dst: '10.0.2.3', to: DNS_MAC, dport: 53 })),
  DnsBusy: {
    story: (bench) => {
      bench.host.nameServers = [to('192.0.2.53', 53)];
      for (let id = 0; id < 128; id++) bench.sends(dnsQuery(id));
      return () => bench.sends(dnsQuery(128));
    },
  },
  LinkQueueFull: {
    story: (bench) => {
      other(bench).full = true;
      return () => bench.sends(ethernet(Buffer.alloc(46), { to: OTHER_MAC }));
    },
  },
  LinkFrameTooLong: {
    maxFrame: 9014,
    story: (bench) => {
      other(bench);
      return () => bench.sends(ethernet(Buffer.alloc(1600), { to: OTHER_MAC }));
    },
  },
  NetworkClosed: {
    story: async (bench) => {
      const closed = bench.network.close();
      bench.clock.runSoon();
      await closed;
      return () => bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
    },
  },
  EthernetFloodLimited: {
    story: (bench) => {
      other(bench);
      const forNobody = ethernet(Buffer.alloc(46), { to: '52:54:00:00:00:77' });
      for (let i = 0; i < FLOOD_BURST; i++) bench.sends(forNobody);
      return () => bench.sends(forNobody);
    },
  },
};

/** `by`: how many times the story provokes it; the frames' verdicts do not matter here. */
export const losses: Readonly<Record<LossName, Provocation>> = {
  LinkQueueFull: {
    story: (bench) => {
      bench.sends(udp('x'));
      bench.link.full = true;
      bench.host.socket.gives('answer', to('127.0.0.1', 7));
      return () => bench.clock.runSoon();
    },
  },
  UdpFiltered: {
    story: (bench) => {
      bench.sends(udp('x'));
      bench.host.socket.gives('who?', to('198.51.100.9', 9));
      return () => bench.clock.runSoon();
    },
  },
  UdpFlowEvicted: {
    config: { limits: { udpFlows: 1 } },
    story: (bench) => {
      bench.sends(udp('x', { sport: 1 }));
      return () => bench.sends(udp('x', { sport: 2 }));
    },
  },
  FragmentsExpired: {
    story: (bench) => {
      bench.sends(ipv4(Buffer.alloc(16), { more: true }));
      bench.clock.advance(29_900);
      return () => bench.clock.advance(200);
    },
  },
  NeighbourUnknown: {
    config: { forwards: [{ proto: 'tcp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' }] },
    story: async (bench) => {
      await bench.network.start();
      bench.host.connects(to('127.0.0.1', 2222), to('127.0.0.1', 50000));
      bench.clock.advance(990);
      return () => bench.clock.advance(20);
    },
  },
  IcmpRateLimited: {
    story: (bench) => {
      const refused = udp('x', { dst: '10.0.2.3', to: DNS_MAC, dport: 9 });
      for (let i = 0; i < 100; i++) bench.sends(refused);
      return () => bench.sends(refused);
    },
  },
  ChallengeRateLimited: {
    story: (bench) => {
      const next = bench.connected();
      const syn = tcp({ ...next, flags: SYN });
      for (let i = 0; i < 10; i++) bench.sends(syn);
      return () => bench.sends(syn);
    },
  },
  HostSocketsExhausted: {
    story: (bench) => {
      bench.sends(tcp({}));
      bench.host.stream.fail('exhausted');
      return () => bench.clock.runSoon();
    },
  },
  PendingConnectsFull: {
    config: { limits: { pendingConnects: 1 } },
    story: (bench) => {
      bench.sends(tcp({ sport: 1 }));
      return () => bench.sends(tcp({ sport: 2 }));
    },
  },
  ArenaFull: drops.TcpArenaFull,
  MacEvicted: {
    config: { limits: { macs: 1 } },
    story: (bench) => {
      bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
      return () => bench.sends(arp(1, '10.0.2.15', '10.0.2.2', { from: OTHER_MAC }));
    },
  },
  ForwardUnreachable: {
    config: { forwards: [{ proto: 'udp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' }] },
    story: async (bench) => {
      await bench.network.start();
      bench.host.socket.gives('anybody?', to('127.0.0.1', 50000));
      bench.clock.advance(990);
      return () => bench.clock.advance(20);
    },
  },
  FragmentOverlap: {
    story: (bench) => {
      bench.sends(ipv4(Buffer.alloc(16), { more: true }));
      return () => bench.sends(ipv4(Buffer.alloc(16), { more: true, offset: 8 }));
    },
  },
  LinkFrameTooLong: {
    maxFrame: 9014,
    story: (bench) => {
      other(bench);
      return () => bench.sends(ethernet(Buffer.alloc(1600), { to: BROADCAST_MAC }));
    },
  },
  UdpRemoteEvicted: {
    story: (bench) => {
      for (let i = 0; i < 1024; i++) bench.sends(udp('x', { dst: '198.51.100.7', dport: 1000 + i }));
      return () => bench.sends(udp('x', { dst: '198.51.100.7', dport: 3000 }));
    },
  },
  ForwardClientEvicted: {
    config: { forwards: [{ proto: 'udp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' }] },
    story: async (bench) => {
      await bench.network.start();
      bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
      for (let i = 0; i < 256; i++) bench.host.socket.gives('x', to('127.0.0.1', 1000 + i));
      bench.clock.runSoon();
      bench.host.socket.gives('x', to('127.0.0.1', 3000));
      return () => bench.clock.runSoon();
    },
  },
  NeighbourEvicted: {
    config: { limits: { macs: 1 } },
    story: (bench) => {
      bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
      return () => bench.sends(arp(1, '10.0.2.16', '10.0.2.2'));
    },
  },
  FloodLimited: {
    story: (bench) => {
      other(bench);
      const forAll = arp(1, '10.0.2.15', '10.0.2.2');
      for (let i = 0; i < FLOOD_BURST; i++) bench.sends(forAll);
      return () => bench.sends(forAll);
    },
  },
  PortQueueFull: {
    story: (bench) => {
      const port = bench.network.attachPort({ toGuest: () => {}, maxFrame: 65535 });
      const large = new Uint8Array(65535);
      // As many as two batches hold, before anything is passed on.
      for (let i = 0; i < 2 * Math.floor(BATCH_LEN / 65539); i++) port.fromGuest(large);
      return () => port.fromGuest(large);
    },
  },
  PortFrameTooLong: {
    story: (bench) => {
      const port = bench.network.attachPort({ toGuest: () => {} });
      return () => port.fromGuest(new Uint8Array(1515));
    },
  },
  DnsUnanswered: {
    story: (bench) => {
      bench.host.nameServers = [to('192.0.2.53', 53)];
      bench.sends(dnsQuery(1));
      return () => bench.clock.advance(10_000);
    },
  },
};
