import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { type Layer, layersOf } from '../../src/wire/layers.ts';
import { FRAMES, hex } from '../support/frames.ts';

/** The layers of the frame at an odd place of a larger memory, of which `captured` bytes are its own. */
function layers(frame: Uint8Array, captured = frame.length): Layer[] {
  const bytes = new Uint8Array(frame.length + 20).fill(0xa5);
  bytes.set(frame.subarray(0, captured), 7);
  return layersOf(memoryOver(bytes), 7, captured);
}

/** The frame with the byte at `at` changed. */
function damaged(frame: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Uint8Array.from(frame);
  copy[at] = value;
  return copy;
}

function last(list: readonly Layer[]): Layer | undefined {
  return list.at(-1);
}

const names = (list: readonly Layer[]): string => list.map(({ layer }) => layer).join(' ');

const ETH = 14;
const L4 = 34;

describe('the fields of each header', () => {
  test('Ethernet, IPv4 and TCP with options', () => {
    expect(layers(FRAMES.tcpSyn)).toEqual([
      {
        layer: 'ethernet',
        destination: '52:55:0a:00:02:02',
        source: '52:54:00:12:34:56',
        etherType: 0x0800,
      },
      {
        ...{ layer: 'ipv4', version: 4, internetHeaderLength: 5, typeOfService: 0, totalLength: 60 },
        ...{ identification: 1, dontFragment: true, moreFragments: false, fragmentOffset: 0 },
        ...{ timeToLive: 64, protocol: 6, headerChecksum: 0x22ab, headerChecksumCorrect: true },
        ...{ sourceAddress: '10.0.2.15', destinationAddress: '10.0.2.2' },
      },
      {
        ...{ layer: 'tcp', sourcePort: 40000, destinationPort: 80, sequenceNumber: 123 },
        ...{ acknowledgmentNumber: 0, dataOffset: 10, controlBits: ['SYN'], window: 64240 },
        ...{ checksum: 0x97f2, checksumCorrect: true, urgentPointer: 0 },
        options: [
          { kind: 2, maximumSegmentSize: 1460 },
          { kind: 4, sackPermitted: true },
          { kind: 8, tsval: 1, tsecr: 0 },
          { kind: 1 },
          { kind: 3, shiftCount: 7 },
        ],
        dataLength: 0,
      },
    ]);
  });

  test('sequence numbers and SACK blocks are unsigned', () => {
    expect(last(layers(FRAMES.tcpSack))).toMatchObject({
      acknowledgmentNumber: 0x8000_0001,
      options: [
        { kind: 1 },
        { kind: 1 },
        {
          kind: 5,
          blocks: [
            [10, 20],
            [0xffff_fff0, 5],
          ],
        },
      ],
    });
    expect(last(layers(FRAMES.tcpData))).toMatchObject({
      sequenceNumber: 0xffff_fffe,
      controlBits: ['ACK', 'PSH'],
      dataLength: 5,
    });
  });

  test('UDP and DHCP', () => {
    const [, , udp, dhcp] = layers(FRAMES.dhcpOffer);
    expect(udp).toEqual({
      ...{ layer: 'udp', sourcePort: 67, destinationPort: 68, length: 258, checksum: 0xbbff },
      ...{ checksumCorrect: true, dataLength: 250 },
    });
    expect(dhcp).toEqual({
      ...{ layer: 'dhcp', op: 2, xid: 0x3903f326, secs: 0, flags: 0, ciaddr: '0.0.0.0' },
      ...{ yiaddr: '10.0.2.15', siaddr: '0.0.0.0', giaddr: '0.0.0.0', chaddr: '00:00:00:00:00:00' },
      ...{ sname: '', file: '', messageType: 'DHCPOFFER' },
      options: [
        { code: 53, data: '02' },
        { code: 54, data: '0a000202' },
      ],
    });
  });

  test('DNS', () => {
    expect(last(layers(FRAMES.dnsAnswer))).toEqual({
      ...{ layer: 'dns', id: 4660, qr: 1, opcode: 0, aa: false, tc: false, rd: true, ra: true, rcode: 3 },
      ...{ qdcount: 1, ancount: 0, nscount: 0, arcount: 0 },
      questions: [{ qname: 'example.com', qtype: 28, qclass: 1 }],
    });
  });

  test('ICMP, with the datagram that an error is about', () => {
    expect(last(layers(FRAMES.icmpEcho))).toMatchObject({
      ...{ layer: 'icmp', type: 8, code: 0, checksumCorrect: true, identifier: 7, sequenceNumber: 1 },
    });
    const { originalDatagram, ...error } = last(layers(FRAMES.icmpFragmentationNeeded))!;
    expect(error).toMatchObject({ layer: 'icmp', type: 3, code: 4, nextHopMtu: 1400 });
    expect(originalDatagram).toMatchObject([
      { layer: 'ipv4', sourceAddress: '10.0.2.15', destinationAddress: '1.2.3.4' },
      { layer: 'tcp', sourcePort: 40000, destinationPort: 80, truncated: true },
    ]);
  });

  test('ARP, IPv6, VLAN tags, and what we do not speak', () => {
    expect(layers(FRAMES.arpReply)[1]).toEqual({
      ...{ layer: 'arp', hardwareType: 1, protocolType: 0x0800, opcode: 2 },
      ...{ hardwareAddressLength: 6, protocolAddressLength: 4 },
      ...{ senderHardwareAddress: '52:55:0a:00:02:02', senderProtocolAddress: '10.0.2.2' },
      ...{ targetHardwareAddress: '52:54:00:12:34:56', targetProtocolAddress: '10.0.2.15' },
    });
    expect(layers(FRAMES.ipv6RouterSolicitation)[1]).toEqual({
      ...{ layer: 'ipv6', version: 6, trafficClass: 0, flowLabel: 0, payloadLength: 8, nextHeader: 58 },
      ...{ hopLimit: 255, sourceAddress: 'fe80::1', destinationAddress: 'ff02::2' },
    });
    expect(layers(FRAMES.vlanArpRequest).slice(0, 2)).toMatchObject([
      { layer: 'ethernet', etherType: 0x8100 },
      {
        layer: 'vlan',
        priorityCodePoint: 0,
        dropEligibleIndicator: false,
        vlanIdentifier: 5,
        etherType: 0x0806,
      },
    ]);
    expect(layers(FRAMES.lldp)).toMatchObject([{ layer: 'ethernet', etherType: 0x88cc }]);
    // IEEE 802.3 3.2.6: below 0x0600 it is a length.
    expect(layers(damaged(damaged(FRAMES.lldp, 12, 0), 13, 38))).toEqual([
      { layer: 'ethernet', destination: '01:80:c2:00:00:0e', source: '52:54:00:12:34:56', length: 38 },
    ]);
  });

  test('a first fragment has ports and no verdict on the checksum, a later one has no UDP', () => {
    const [, , udp] = layers(FRAMES.udpFirstFragment);
    expect(udp).toEqual({
      ...{ layer: 'udp', sourcePort: 5000, destinationPort: 7, length: 2008, checksum: 0 },
      dataLength: 2000,
    });
    expect(layers(FRAMES.udpLastFragment)[1]).toMatchObject({ fragmentOffset: 185, moreFragments: false });
    expect(names(layers(FRAMES.udpLastFragment))).toBe('ethernet ipv4');
  });
});

describe('what is wrong with a frame', () => {
  test('checksums', () => {
    expect(layers(damaged(FRAMES.udpEcho, ETH + 8, 63))[1]).toMatchObject({ headerChecksumCorrect: false });
    expect(last(layers(damaged(FRAMES.udpEcho, L4 + 8, 0)))).toMatchObject({ checksumCorrect: false });
    expect(last(layers(damaged(FRAMES.tcpData, L4 + 33, 0)))).toMatchObject({ checksumCorrect: false });
    expect(last(layers(damaged(FRAMES.icmpEcho, L4 + 20, 0)))).toMatchObject({ checksumCorrect: false });
    // RFC 768: zero is none.
    const none = damaged(damaged(FRAMES.udpEcho, L4 + 6, 0), L4 + 7, 0);
    expect(last(layers(none))).not.toHaveProperty('checksumCorrect');
  });

  test('headers that contradict themselves end the list', () => {
    const cases: readonly (readonly [Uint8Array, number, number, string])[] = [
      [FRAMES.udpEcho, ETH, 0x65, 'ethernet ipv4'],
      [FRAMES.udpEcho, ETH, 0x44, 'ethernet ipv4'],
      [FRAMES.udpEcho, ETH + 3, 19, 'ethernet ipv4'],
      [FRAMES.udpEcho, L4 + 5, 7, 'ethernet ipv4 udp'],
      [FRAMES.udpEcho, L4 + 5, 14, 'ethernet ipv4 udp'],
      [FRAMES.tcpSyn, L4 + 12, 0x40, 'ethernet ipv4 tcp'],
      [FRAMES.tcpSyn, L4 + 12, 0xf0, 'ethernet ipv4 tcp'],
      [FRAMES.dhcpOffer, L4 + 8 + 2, 5, 'ethernet ipv4 udp dhcp'],
      [FRAMES.dnsQuery, L4 + 8 + 12, 64, 'ethernet ipv4 udp dns'],
      [FRAMES.ipv6RouterSolicitation, ETH, 0x40, 'ethernet ipv6'],
    ];
    for (const [frame, at, value, expected] of cases) {
      const list = layers(damaged(frame, at, value));
      expect(names(list)).toBe(expected);
      expect(last(list)).toMatchObject({ malformed: true });
    }
  });

  test('options of TCP that cannot be end their list', () => {
    const list = (at: number, value: number): unknown =>
      last(layers(damaged(FRAMES.tcpSyn, L4 + at, value)))?.['options'];
    expect(list(21, 1)).toEqual([{ kind: 2, malformed: true }]);
    expect(list(39 - 1, 9)).toEqual([
      ...[
        { kind: 2, maximumSegmentSize: 1460 },
        { kind: 4, sackPermitted: true },
      ],
      ...[{ kind: 8, tsval: 1, tsecr: 0 }, { kind: 1 }, { kind: 3, malformed: true }],
    ]);
    expect(list(24, 0)).toEqual([{ kind: 2, maximumSegmentSize: 1460 }, { kind: 0 }]);
    // An unknown kind, and a known one of another length than its own, are their bytes.
    expect(list(24, 99)).toMatchObject([{ kind: 2 }, { kind: 99, data: '' }, {}, {}, {}]);
  });

  test('IPv4 options are their bytes', () => {
    const frame = hex('52550a0002025254001234560800 4600001800014000400100000000000000000000 01010100');
    expect(layers(frame)[1]).toMatchObject({ internetHeaderLength: 6, options: '01010100' });
  });
});

test.each(Object.entries(FRAMES))('%s, cut off anywhere: the last layer says so', (_name, frame) => {
  const whole = names(layers(frame));
  for (let len = 0; len < frame.length; len++) {
    const list = layers(frame, len);
    expect(whole.startsWith(names(list))).toBe(true);
    const headers = list.findIndex((layer) => layer['truncated'] === true || layer['malformed'] === true);
    expect([-1, list.length - 1]).toContain(headers);
  }
});

test('no bytes make it throw', () => {
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(
        fc.constantFrom(...Object.values(FRAMES)),
        fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 6 }),
        fc.nat(120),
      )
      .map(([bytes, changes, cut]) => {
        const copy = bytes.slice(0, Math.max(bytes.length - cut, 0));
        for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
        return copy;
      }),
  );
  fc.assert(
    fc.property(frame, (bytes) => {
      // A memory that ends with the frame: reading beyond would throw.
      const list = layersOf(memoryOver(bytes), 0, bytes.length);
      expect(list[0]?.layer).toBe('ethernet');
      expect(JSON.parse(JSON.stringify(list))).toEqual(list);
    }),
    { numRuns: 2000, seed: 4 },
  );
});
