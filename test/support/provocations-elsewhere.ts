// Most reasons have more than one place where they are given. What provocations.ts does not come to, and no other test
// asks for by name.

import type { DropName, LossName } from '../../src/base/drop.ts';
import { to } from './guest-bench.ts';
import { frame, type Provocation, type Story } from './provocations.ts';
import {
  ACK,
  arp,
  BROADCAST_MAC,
  DNS_MAC,
  ethernet,
  FIN,
  GUEST_MAC,
  ipv4,
  PSH,
  RST,
  SYN,
  type TcpFields,
  tcp,
  udp,
} from './raw-frames.ts';
import type { RawBench } from './raw-guest.ts';
import { starve } from './starve.ts';

type Place = readonly [reason: DropName | LossName, where: string, provocation: Provocation];

/** The last segment of a connection that is open. */
function segment(fields: TcpFields, payload = ''): Provocation {
  return {
    story: (bench) => {
      const next = bench.connected();
      return () => bench.sends(tcp({ ...next, ...fields }, payload));
    },
  };
}

/** The same where the guest has sent its SYN and the host has answered. */
function inSynReceived(last: (iss: number) => TcpFields): Provocation {
  return {
    story: (bench) => {
      bench.sends(tcp({ seq: 1000 }));
      bench.host.stream.open();
      bench.clock.runSoon();
      const { seq } = bench.link.lastTcp;
      return () => bench.sends(tcp(last(seq)));
    },
  };
}

/** The same where our SYN has gone to the guest, by a forward. */
function inSynSent(last: (iss: number) => TcpFields): Provocation {
  return {
    config: { forwards: [{ proto: 'tcp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' }] },
    story: async (bench) => {
      await bench.network.start();
      bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
      bench.host.connects(to('127.0.0.1', 2222), to('127.0.0.1', 50000));
      bench.clock.runSoon();
      const { seq } = bench.link.lastTcp;
      return () => bench.sends(tcp({ sport: 22, dport: 50000, ...last(seq) }));
    },
  };
}

const withFullLink =
  (last: (bench: RawBench) => void, before: (bench: RawBench) => void = () => {}): Story =>
  (bench) => {
    before(bench);
    bench.link.full = true;
    return () => last(bench);
  };

/** A datagram to the guest that needs fragments. */
function longAnswer(bench: RawBench): void {
  bench.host.socket.gives(new Uint8Array(4000), to('127.0.0.1', 7));
  bench.clock.runSoon();
}

export const dropsElsewhere: readonly Place[] = [
  [
    'LinkQueueFull',
    'our answer to ARP',
    { story: withFullLink((bench) => bench.sends(arp(1, '10.0.2.15', '10.0.2.2'))) },
  ],
  ['EthernetNotForUs', 'to itself', frame(ethernet(Buffer.alloc(46), { to: GUEST_MAC }))],
  ['EthernetNotForUs', 'one address, in a frame for all', frame(udp('x', { to: BROADCAST_MAC }))],
  [
    'EthernetNotForUs',
    'for nobody known, and the only other guest has no room',
    {
      story: (bench) => {
        bench.plug('other').full = true;
        return () => bench.sends(ethernet(Buffer.alloc(46), { to: '52:54:00:00:00:77' }));
      },
    },
  ],
  [
    'Ipv4GroupNotServed',
    'no UDP, to all',
    frame(ipv4(Buffer.alloc(20), { proto: 6, dst: '255.255.255.255', to: BROADCAST_MAC })),
  ],
  [
    'FragmentNoRoom',
    'a datagram that would have to grow',
    {
      story: (bench) => {
        bench.sends(ipv4(Buffer.alloc(8), { more: true }));
        starve(bench.network.arena);
        return () => bench.sends(ipv4(Buffer.alloc(8), { offset: 60_000, more: true }));
      },
    },
  ],
  ['PolicyDenied', 'UDP', frame(udp('x', { dst: '169.254.169.254' }))],
  [
    'TcpNoFlow',
    'a SYN to an address of ours where nobody is',
    { config: { hostLoopback: false }, story: (bench) => () => bench.sends(tcp({})) },
  ],
  ['TcpNotAcceptable', 'a reset outside the window', segment({ seq: 900_000, flags: RST })],
  ['TcpNotAcceptable', 'a reset in the window', segment({ seq: 1050, flags: RST })],
  ['TcpNotAcceptable', 'a SYN in the window', segment({ flags: SYN })],
  ['TcpNotAcceptable', 'an ACK of what was not sent', segment({ ack: 0x7000_0000, flags: ACK })],
  [
    'TcpNotAcceptable',
    'text behind a FIN',
    {
      story: (bench) => {
        const { seq, ...next } = bench.connected();
        bench.sends(tcp({ ...next, seq: seq!, flags: ACK | FIN }));
        return () => bench.sends(tcp({ ...next, seq: seq! + 1, flags: ACK | PSH }, 'more'));
      },
    },
  ],
  [
    'TcpNotAcceptable',
    'one more hole than is kept',
    {
      story: (bench) => {
        const { seq, ...next } = bench.connected();
        const early = (i: number): Buffer => tcp({ ...next, seq: seq! + 2 * i, flags: ACK }, 'x');
        for (let i = 1; i <= 300; i++) bench.sends(early(i));
        return () => bench.sends(early(301));
      },
    },
  ],
  [
    'TcpNotAcceptable',
    'an ACK before the host has answered',
    {
      story: (bench) => {
        bench.sends(tcp({ seq: 1000 }));
        return () => bench.sends(tcp({ seq: 1001, ack: 1, flags: ACK }));
      },
    },
  ],
  [
    'TcpNotAcceptable',
    'in SYN-RECEIVED, outside the window',
    inSynReceived((iss) => ({ seq: 900_000, ack: iss + 1, flags: ACK })),
  ],
  [
    'TcpNotAcceptable',
    'in SYN-RECEIVED, a reset that is not the next',
    inSynReceived(() => ({ seq: 1050, flags: RST })),
  ],
  [
    'TcpNotAcceptable',
    'in SYN-RECEIVED, an ACK of what was not sent',
    inSynReceived((iss) => ({ seq: 1001, ack: iss + 7, flags: ACK })),
  ],
  ['TcpNotAcceptable', 'in SYN-RECEIVED, another SYN', inSynReceived(() => ({ seq: 5000, flags: SYN }))],
  ['TcpNotAcceptable', 'in SYN-SENT, a reset of nothing', inSynSent(() => ({ flags: RST }))],
  ['TcpNotAcceptable', 'in SYN-SENT, an ACK alone', inSynSent((iss) => ({ ack: iss + 1, flags: ACK }))],
];

export const lossesElsewhere: readonly Place[] = [
  [
    'LinkQueueFull',
    'an ICMP error',
    { story: withFullLink((bench) => bench.sends(udp('x', { dst: '10.0.2.3', to: DNS_MAC, dport: 9 }))) },
  ],
  ['LinkQueueFull', 'a reset', { story: withFullLink((bench) => bench.sends(tcp({ flags: ACK }))) }],
  [
    'LinkQueueFull',
    'a datagram in fragments',
    { story: withFullLink(longAnswer, (bench) => bench.sends(udp('x'))) },
  ],
  [
    'ArenaFull',
    'a datagram in fragments',
    {
      story: (bench) => {
        bench.sends(udp('x'));
        starve(bench.network.arena);
        return () => longAnswer(bench);
      },
    },
  ],
  [
    'HostSocketsExhausted',
    'a guest that has its share of them',
    {
      story: (bench) => {
        bench.sends(tcp({ sport: 1 }));
        Object.assign(bench.host, { spareSockets: () => 0 });
        return () => bench.sends(tcp({ sport: 2 }));
      },
    },
  ],
];
