import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { describeFrame } from '../../src/wire/describe.ts';
import { FRAMES, hex } from '../support/frames.ts';

/** The frame described at an odd place of a larger memory, so that offsets are not taken for zero. */
function line(frame: Uint8Array, captured = frame.length): string {
  const bytes = new Uint8Array(frame.length + 20).fill(0xa5);
  bytes.set(frame.subarray(0, captured), 7);
  return describeFrame(memoryOver(bytes), 7, captured, frame.length);
}

/** The frame with the byte at `at` changed. */
function damaged(frame: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Uint8Array.from(frame);
  copy[at] = value;
  return copy;
}

const LINES: Record<keyof typeof FRAMES, string> = {
  tcpSyn:
    '10.0.2.15.40000 > 10.0.2.2.80: Flags [S], seq 123, win 64240, ' +
    'options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0',
  tcpData:
    '10.0.2.2.80 > 10.0.2.15.40000: Flags [P.], seq 4294967294:3, ack 2147483649, win 501, ' +
    'options [nop,nop,TS val 2 ecr 65535], length 5',
  tcpSack:
    '10.0.2.2.80 > 10.0.2.15.40000: Flags [.], seq 1, ack 2147483649, win 501, ' +
    'options [nop,nop,sack 2 {10:20}{4294967280:5}], length 0',
  tcpReset: '10.0.2.2.80 > 10.0.2.15.40000: Flags [R.], seq 0, ack 124, win 0, length 0',
  dnsQuery: '10.0.2.15.50000 > 10.0.2.3.53: DNS query 4660 A? example.com, length 29',
  dnsAnswer: '10.0.2.3.53 > 10.0.2.15.50000: DNS answer 4660 NXDomain 0/0/0 AAAA? example.com, length 29',
  udpEcho: '10.0.2.15.5000 > 10.0.2.2.7: UDP, length 5',
  dhcpDiscover: '0.0.0.0.68 > 255.255.255.255.67: DHCP, Discover, xid 0x3903f326, length 253',
  dhcpOffer: '10.0.2.2.67 > 255.255.255.255.68: DHCP, Offer, xid 0x3903f326, yiaddr 10.0.2.15, length 250',
  dhcpRequest:
    '0.0.0.0.68 > 255.255.255.255.67: DHCP, Request, xid 0x3903f326, requested 10.0.2.15, length 252',
  icmpEcho: '10.0.2.15 > 10.0.2.2: ICMP echo request, id 7, seq 1, length 64',
  icmpPortUnreachable:
    '10.0.2.2 > 10.0.2.15: ICMP port unreachable, about 10.0.2.15.50000 > 1.2.3.4.9 UDP, length 36',
  icmpFragmentationNeeded:
    '10.0.2.2 > 10.0.2.15: ICMP unreachable - need to frag (mtu 1400), ' +
    'about 10.0.2.15.40000 > 1.2.3.4.80 TCP, length 36',
  udpFirstFragment:
    '10.0.2.15.5000 > 10.0.2.2.7: UDP, length 2000 [fragment id 7, offset 0, length 1480, more follow]',
  udpLastFragment: '10.0.2.15 > 10.0.2.2: UDP, length 528 [fragment id 7, offset 1480, length 528]',
  arpRequest: 'ARP, Request who-has 10.0.2.2 tell 10.0.2.15, length 28',
  arpReply: 'ARP, Reply 10.0.2.2 is-at 52:55:0a:00:02:02, length 28',
  ipv6RouterSolicitation: 'fe80::1 > ff02::2: IPv6 ICMPv6, length 8',
  vlanArpRequest: 'vlan 5, ARP, Request who-has 10.0.2.2 tell 10.0.2.15, length 28',
  lldp: '52:54:00:12:34:56 > 01:80:c2:00:00:0e, ethertype 0x88cc, length 60',
};

test.each(Object.entries(LINES))('%s', (name, expected) => {
  expect(line(FRAMES[name as keyof typeof FRAMES])).toBe(expected);
});

describe('what is wrong with a frame', () => {
  const ETH = 14;
  const L4 = 34;

  test('bad checksums are named', () => {
    expect(line(damaged(FRAMES.udpEcho, ETH + 8, 63))).toBe(`${LINES.udpEcho} [bad ip checksum]`);
    expect(line(damaged(FRAMES.udpEcho, L4 + 8, 0))).toBe(`${LINES.udpEcho} [bad udp checksum]`);
    expect(line(damaged(FRAMES.tcpData, L4 + 33, 0))).toBe(`${LINES.tcpData} [bad tcp checksum]`);
    expect(line(damaged(FRAMES.icmpEcho, L4 + 20, 0))).toBe(`${LINES.icmpEcho} [bad icmp checksum]`);
  });

  test('RFC 768: a UDP checksum of zero is none', () => {
    const none = damaged(damaged(FRAMES.udpEcho, L4 + 6, 0), L4 + 7, 0);
    expect(line(none)).toBe(LINES.udpEcho);
  });

  test('lengths that cannot be', () => {
    expect(line(damaged(FRAMES.udpEcho, ETH, 0x65))).toMatch('IP, bad header, version 6, header length 20');
    expect(line(damaged(FRAMES.udpEcho, ETH, 0x44))).toMatch('IP, bad header, version 4, header length 16');
    expect(line(damaged(FRAMES.udpEcho, ETH + 3, 19))).toMatch('10.0.2.15 > 10.0.2.2: IP, bad length 19');
    expect(line(damaged(FRAMES.udpEcho, L4 + 5, 7))).toMatch(
      '10.0.2.15.5000 > 10.0.2.2.7: UDP, bad length 7',
    );
    expect(line(damaged(FRAMES.udpEcho, L4 + 5, 14))).toMatch('UDP, bad length 14');
    expect(line(damaged(FRAMES.tcpReset, L4 + 12, 0x40))).toMatch('TCP, bad header length 16');
    expect(line(damaged(FRAMES.tcpReset, L4 + 12, 0x60))).toMatch('TCP, bad header length 24');
    expect(line(damaged(FRAMES.arpRequest, ETH + 7, 3))).toBe('ARP, malformed, length 28');
  });

  test('TCP options that cannot be', () => {
    const options = L4 + 20;
    expect(line(damaged(FRAMES.tcpSyn, options + 1, 1))).toMatch('options [bad option]');
    expect(line(damaged(FRAMES.tcpSyn, options + 1, 21))).toMatch('options [bad option]');
    expect(line(damaged(FRAMES.tcpSyn, options, 0))).toMatch('options [eol]');
    expect(line(damaged(FRAMES.tcpSyn, options, 0x99))).toMatch('options [unknown-153 (2 bytes),sackOK,');
    expect(line(damaged(FRAMES.tcpSyn, options + 17, 3))).toMatch('options [mss 1460,sackOK,TS val 1 ecr 0,');
  });

  test('flags: none, and all of them', () => {
    expect(line(damaged(FRAMES.tcpReset, L4 + 13, 0))).toMatch('Flags [none], seq 0, win 0, length 0');
    expect(line(damaged(FRAMES.tcpReset, L4 + 13, 255))).toMatch(
      'Flags [FSRP.UEW], seq 0, ack 124, win 0, urg 0',
    );
  });

  test('padding of a short frame is not payload', () => {
    const padded = new Uint8Array(60).fill(0xee);
    padded.set(FRAMES.udpEcho);
    expect(line(padded)).toBe(LINES.udpEcho);
  });

  test('IEEE 802.3 length instead of a type, and a third VLAN tag', () => {
    const macs = '0180c2000000 525400123456';
    expect(line(hex(`${macs} 0026 4242 00*44`))).toMatch('> 01:80:c2:00:00:00, 802.3, length 60');
    expect(line(hex(`${macs} 88a8 0003 8100 0005 0806`))).toBe('vlan 3, vlan 5, ARP, [|arp]');
    expect(line(hex(`${macs} 8100 0001 8100 0002 8100 0003 0806`))).toMatch(
      'vlan 1, vlan 2, ethertype 0x8100',
    );
  });
});

describe('captures cut off at a snap length', () => {
  test('are described as far as they go, with the length of the whole', () => {
    expect(line(FRAMES.tcpData, 66)).toBe(LINES.tcpData);
    expect(line(FRAMES.tcpData, 60)).toMatch(', win 501, options [nop,nop,|tcp], length 5');
    expect(line(FRAMES.tcpData, 50)).toBe('10.0.2.2.80 > 10.0.2.15.40000: TCP, [|tcp]');
    expect(line(FRAMES.tcpData, 36)).toBe('10.0.2.2 > 10.0.2.15: TCP, [|tcp]');
    expect(line(FRAMES.tcpData, 33)).toBe('IP, [|ip]');
    expect(line(FRAMES.tcpData, 13)).toBe('[|ether], length 71');
    expect(line(FRAMES.dnsQuery, 60)).toMatch('DNS query 4660 [|dns], length 29');
    expect(line(FRAMES.dhcpOffer, 128)).toMatch('DHCP, [|dhcp], length 250');
    expect(line(FRAMES.icmpEcho, 40)).toBe('10.0.2.15 > 10.0.2.2: ICMP, [|icmp]');
    expect(line(FRAMES.icmpPortUnreachable, 60)).toBe(
      '10.0.2.2 > 10.0.2.15: ICMP port unreachable, length 36',
    );
    expect(line(FRAMES.vlanArpRequest, 16)).toBe('[|vlan], length 46');
    expect(line(FRAMES.ipv6RouterSolicitation, 53)).toBe('IPv6, [|ip6]');
  });

  test('any frame cut off anywhere is one line that accuses nobody', () => {
    for (const frame of Object.values(FRAMES)) {
      for (let captured = 0; captured <= frame.length; captured++) {
        const text = line(frame, captured);
        expect(text).not.toMatch(/bad|undefined|NaN|\n/);
      }
    }
  });
});

describe('anything at all', () => {
  const printable = /^[\x20-\x7e]+$/;

  test('random bytes are one printable line', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(0x0800, 0x0806, 0x86dd, 0x8100),
        (bytes, type) => {
          if (bytes.length >= 14) new DataView(bytes.buffer).setUint16(12, type);
          expect(line(bytes)).toMatch(printable);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('good frames with a few bytes changed and the end cut off are one printable line', () => {
    const change = fc.tuple(fc.nat(400), fc.nat(255));
    const changes = fc.array(change, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(FRAMES)), changes, fc.nat(300), (frame, list, cut) => {
        const copy = Uint8Array.from(frame);
        for (const [at, value] of list) copy[at % copy.length] = value;
        expect(line(copy, Math.max(0, copy.length - (cut % 3 === 0 ? cut : 0)))).toMatch(printable);
      }),
      { numRuns: 3000 },
    );
  });
});
