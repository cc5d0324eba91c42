// What a replay is made of, a rule at a time, on recordings written by hand.

import { describe, expect, test } from 'vitest';
import { parseIpv4Word } from '../../src/base/addr.ts';
import { Drop } from '../../src/base/drop.ts';
import { memoryOver } from '../../src/base/memory.ts';
import { parseConfig } from '../../src/network/config.ts';
import { Aligner } from '../../src/replay/align.ts';
import { decode } from '../../src/replay/decode.ts';
import { differencesBetween } from '../../src/replay/differences.ts';
import { learn } from '../../src/replay/learned.ts';
import type { Fact, Facts } from '../../src/replay/meaning.ts';
import { recordingOf } from '../../src/replay/recording.ts';
import { replay } from '../../src/replay/replay.ts';
import { DatagramAssembler, StreamAssembler } from '../../src/replay/streams.ts';
import { pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udpHeader from '../../src/wire/udp.ts';
import { capture } from '../support/captures.ts';
import {
  ACK,
  arp,
  FIN,
  GATEWAY_MAC,
  GUEST_MAC,
  PSH,
  ipv4 as packet,
  SYN,
  tcp,
  udp,
} from '../support/raw-frames.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const word = (text: string): number => parseIpv4Word(text)!;

/** The same from the network's side. */
const fromNetwork = { from: GATEWAY_MAC, to: GUEST_MAC, src: '10.0.2.2', dst: '10.0.2.15' };

describe('a stream out of its segments', () => {
  test('in any order, twice, overlapping: each byte once', () => {
    const stream = new StreamAssembler();
    expect(stream.add(2, bytes(3, 4))).toEqual(bytes());
    expect(stream.hasGap).toBe(true);
    expect(stream.add(0, bytes(1, 2, 3))).toEqual(bytes(1, 2, 3, 4));
    expect(stream.add(0, bytes(9, 9, 9, 9, 5))).toEqual(bytes(5));
    expect([stream.hasGap, stream.length]).toEqual([false, 5]);
    expect(stream.bytes()).toEqual(bytes(1, 2, 3, 4, 5));
    expect(stream.bytes(1, 4)).toEqual(bytes(2, 3, 4));
  });

  test('what lies absurdly far ahead is not kept', () => {
    const stream = new StreamAssembler();
    stream.add(2 ** 31, bytes(1));
    stream.add(-1, bytes(1));
    expect([stream.hasGap, stream.length]).toEqual([false, 0]);
    for (let i = 0; i < 5000; i++) stream.add(10 + 2 * i, bytes(1));
    for (let i = 0; i < 5000; i++) stream.add(2 * i, bytes(1, 2));
    expect(stream.length).toBe(10_000);
  });

  test('it is whole when FIN is reached', () => {
    const stream = new StreamAssembler();
    stream.finAt = 2;
    expect(stream.isWhole).toBe(false);
    stream.add(0, bytes(1, 2));
    expect(stream.isWhole).toBe(true);
  });
});

test('a datagram out of its fragments, the last first; first data wins', () => {
  const datagrams = new DatagramAssembler();
  const part = (offset: number, more: boolean, fill: number, length = 8): Uint8Array | null =>
    datagrams.add(decode(packet(Buffer.alloc(length, fill), { offset, more, ident: 7 }))!);
  expect(part(16, false, 3, 4)).toBe(null);
  expect(part(0, true, 1, 16)).toEqual(bytes(...Array<number>(16).fill(1), 3, 3, 3, 3));
  expect(part(0, true, 1)).toBe(null);
  expect(part(0, true, 9)).toBe(null);
  for (let ident = 100; ident < 400; ident++)
    datagrams.add(decode(packet(Buffer.alloc(8), { ident, more: true }))!);
  // Three hundred others have pushed it out.
  expect(part(8, false, 2)).toBe(null);
});

describe('who is a guest', () => {
  test('whoever is no gateway, by its MAC', () => {
    const other = '52:54:00:00:00:09';
    const frames = capture(
      udp('x', { ...fromNetwork }),
      udp('y'),
      arp(1, '10.0.2.16', '10.0.2.15', { from: other }),
    );
    expect(recordingOf(frames).guests).toEqual([GUEST_MAC, other]);
  });

  test('where no MAC tells, who speaks first; whom it writes to is the network', () => {
    const router = '00:11:22:33:44:55';
    const frames = capture(udp('x', { to: router }), udp('y', { ...fromNetwork, from: router }));
    const recording = recordingOf(frames);
    expect(recording.guests).toEqual([GUEST_MAC]);
    expect(recording.frames.map((one) => one.guest)).toEqual([GUEST_MAC, null]);
  });

  test('whom the caller names', () => {
    const frames = capture(udp('x'), udp('y', { from: 'aa:bb:cc:dd:ee:ff' }));
    expect(recordingOf(frames, ['AA:BB:CC:DD:EE:FF']).guests).toEqual(['aa:bb:cc:dd:ee:ff']);
  });

  test('a frame that was seen on a second link is one frame, padded or not', () => {
    const request = arp(1, '10.0.2.15', '10.0.2.16');
    const padded = Buffer.concat([request, Buffer.alloc(60 - request.length)]);
    const recording = recordingOf(capture(request, padded, udp('x', fromNetwork)));
    expect(recording.frames.map((one) => one.number)).toEqual([1, 3]);
    expect(recording.notes).toEqual(['1 frame seen on a second link, left out']);
  });

  test('other link types and stumps of frames are left out and counted', () => {
    const foreign = capture(udp('x')).map((one) => ({ ...one, source: { ...one.source, linkType: 101 } }));
    expect(recordingOf(foreign).notes).toEqual(['1 frame not Ethernet, left out']);
    expect(recordingOf(capture(bytes(1, 2, 3), new Uint8Array(200_000))).notes).toEqual([
      '2 frames shorter or longer than Ethernet has them, left out',
    ]);
  });
});

describe('what the recorded network was', () => {
  test('without a lease: a /24 around the guest, its gateway who answers for it, its names who is asked for names only', () => {
    const { roles, config } = learn(
      recordingOf(
        capture(
          arp(1, '192.168.9.7', '192.168.9.53'),
          arp(2, '192.168.9.1', '192.168.9.7', { from: GATEWAY_MAC, to: GUEST_MAC }),
          udp('?', { src: '192.168.9.7', dst: '192.168.9.53', dport: 53 }),
        ),
      ),
    );
    expect(roles).toEqual({
      ...{ subnet: word('192.168.9.0'), mask: word('255.255.255.0') },
      ...{ gateway: word('192.168.9.1'), dns: word('192.168.9.53') },
    });
    expect(config).toMatchObject({
      subnet: '192.168.9.0/24',
      gateway: '192.168.9.1',
      dns: { address: '192.168.9.53' },
    });
    expect(parseConfig(config).gateway).toBe(word('192.168.9.1'));
  });

  test('a port of the guest that the network wrote to first is a forward', () => {
    const { forwards } = learn(
      recordingOf(
        capture(
          arp(1, '10.0.2.15', '10.0.2.2'),
          tcp({ ...fromNetwork, sport: 999, dport: 22, flags: SYN }),
          udp('knock', { ...fromNetwork, sport: 999, dport: 53 }),
          udp('ask', { sport: 5000, dport: 7 }),
          udp('answer', { ...fromNetwork, sport: 7, dport: 5000 }),
        ),
      ),
    );
    const guestAddress = word('10.0.2.15');
    expect(forwards).toEqual([
      { proto: 'tcp', guestAddress, guestPort: 22 },
      { proto: 'udp', guestAddress, guestPort: 53 },
    ]);
  });
});

describe('a frame in another network', () => {
  const theirs = {
    subnet: word('10.0.2.0'),
    mask: word('255.255.255.0'),
    gateway: word('10.0.2.2'),
    dns: null,
  };
  const ours = parseConfig({ subnet: '192.168.77.0/24', gateway: '192.168.77.1' });

  test('its addresses are ours, its checksum is right', () => {
    const aligner = new Aligner(theirs, ours);
    aligner.learnMac(decode(udp('x', fromNetwork))!);
    const frame = decode(aligner.aligned(decode(udp('hello'))!, false))!;
    expect([frame.ip?.src, frame.ip?.dst]).toEqual([word('192.168.77.15'), word('192.168.77.1')]);
    expect(frame.dst).toBe('52:55:c0:a8:4d:01');
    const pseudo = pseudoSumIpv4(frame.ip!.src, frame.ip!.dst, 17);
    expect(udpHeader.check(frame.memory, frame.ip!.l4, frame.ip!.end - frame.ip!.l4, pseudo)).toBe(Drop.None);
    expect(aligner.back(word('192.168.77.1'))).toBe(word('10.0.2.2'));
    expect(aligner.back(word('192.168.77.15'))).toBe(word('10.0.2.15'));
  });

  test('a checksum that was wrong stays wrong', () => {
    const aligner = new Aligner(theirs, ours);
    const frame = decode(aligner.aligned(decode(udp('hello', { badUdpChecksum: true }))!, false))!;
    const pseudo = pseudoSumIpv4(frame.ip!.src, frame.ip!.dst, 17);
    expect(udpHeader.check(frame.memory, frame.ip!.l4, frame.ip!.end - frame.ip!.l4, pseudo)).toBe(
      Drop.UdpBadChecksum,
    );
    expect(ipv4.check(frame.memory, 14, frame.bytes.length - 14)).toBe(Drop.None);
  });

  test('a sum over the pseudo-header alone, as cards are given it, becomes a checksum', () => {
    const raw = udp('hello');
    const partial = pseudoSumIpv4(word('10.0.2.15'), word('10.0.2.2'), 17) + 13;
    raw.writeUInt16BE((partial & 0xffff) + (partial >>> 16), 40);
    const frame = decode(new Aligner(theirs, ours).aligned(decode(raw)!, false))!;
    const pseudo = pseudoSumIpv4(frame.ip!.src, frame.ip!.dst, 17);
    expect(udpHeader.check(frame.memory, frame.ip!.l4, frame.ip!.end - frame.ip!.l4, pseudo)).toBe(Drop.None);
  });

  test('fragments of a datagram are a datagram still', () => {
    const whole = udp(Buffer.alloc(2000, 7));
    const payload = whole.subarray(34);
    const aligner = new Aligner(theirs, ours);
    const datagrams = new DatagramAssembler();
    let put: Uint8Array | null = null;
    for (const [from, to] of [
      [0, 1480],
      [1480, payload.length],
    ] as const) {
      const part = packet(Buffer.from(payload.subarray(from, to)), {
        offset: from,
        more: to < payload.length,
      });
      put = datagrams.add(decode(aligner.aligned(decode(part)!, false))!);
    }
    const m = memoryOver(put!);
    const pseudo = pseudoSumIpv4(word('192.168.77.15'), word('192.168.77.1'), 17);
    expect(udpHeader.check(m, 0, put!.length, pseudo)).toBe(Drop.None);
  });
});

describe('differences', () => {
  const facts = (field: string, fact: Fact): Facts => new Map([['tcp a > b', new Map([[field, fact]])]]);

  test('bytes are compared, not their number', () => {
    const a = facts('tcp.toGuest', { text: '2 bytes', bytes: bytes(1, 2) });
    const b = facts('tcp.toGuest', { text: '2 bytes', bytes: bytes(1, 3) });
    expect(differencesBetween(a, a)).toEqual([]);
    expect(differencesBetween(a, b)).toMatchObject([
      { field: 'tcp.toGuest', ours: '2 bytes, other ones from byte 1 on', matters: true },
    ]);
  });

  test('of a stream that was reset, what the other side is known to have must be there', () => {
    const a = facts('tcp.toGuest', { text: '3 bytes', bytes: bytes(1, 2, 3), needed: 2 });
    expect(differencesBetween(a, facts('tcp.toGuest', { text: '2 bytes', bytes: bytes(1, 2) }))).toEqual([]);
    expect(differencesBetween(a, facts('tcp.toGuest', { text: '1 bytes', bytes: bytes(1) })).length).toBe(1);
  });

  test('an option more is a gain, an option less is not', () => {
    const [no, yes] = [facts('tcp.sack', { text: 'no' }), facts('tcp.sack', { text: 'yes' })];
    expect(differencesBetween(no, yes)).toMatchObject([{ matters: false, why: 'ours offers more' }]);
    expect(differencesBetween(yes, no)).toMatchObject([{ matters: true, why: '' }]);
    const mss = (text: string): Facts => facts('tcp.mss', { text });
    expect(differencesBetween(mss('1400'), mss('1460'))).toMatchObject([{ matters: false }]);
    expect(differencesBetween(mss('1460'), mss('1400'))).toMatchObject([{ matters: true }]);
  });

  test('the same difference of two subjects is one', () => {
    const two = (text: string): Facts =>
      new Map([
        ['arp 10.0.2.2', new Map([['arp.answer', { text }]])],
        ['arp 10.0.2.3', new Map([['arp.answer', { text }]])],
      ]);
    expect(differencesBetween(two('answered'), two('silence'))).toEqual([
      {
        ...{ field: 'arp.answer', theirs: 'answered', ours: 'silence', matters: true, why: '' },
        subjects: ['arp 10.0.2.2', 'arp 10.0.2.3'],
      },
    ]);
  });
});

describe('a conversation that the recorded network had otherwise', () => {
  const syn = tcp({ sport: 5000, dport: 80, seq: 100, flags: SYN });
  const said = (fields: object, data = ''): Buffer =>
    tcp({ ...fromNetwork, sport: 80, dport: 5000, seq: 1, ack: 101, flags: ACK, ...fields }, data);

  test('data that came without a request, in one byte segments, out of order', async () => {
    const { differences, facts } = await replay(
      capture(
        syn,
        said({ seq: 0xffffffff, flags: SYN | ACK }),
        tcp({ sport: 5000, dport: 80, seq: 101, ack: 0, flags: ACK }),
        said({ seq: 2, flags: ACK | PSH }, 'c'),
        said({ seq: 0, flags: ACK | PSH }, 'a'),
        said({ seq: 1, flags: ACK | PSH }, 'b'),
        tcp({ sport: 5000, dport: 80, seq: 101, ack: 3, flags: ACK }),
        said({ seq: 3, flags: FIN | ACK }),
        tcp({ sport: 5000, dport: 80, seq: 101, ack: 4, flags: FIN | ACK }),
        said({ seq: 4, ack: 102 }),
      ),
    );
    expect(differences.filter((one) => one.matters)).toEqual([]);
    expect(facts).toBeGreaterThan(7);
  });

  test('a network that keeps a stream shorter than its guest has acknowledged shows', async () => {
    // The recording has the guest acknowledge 8 bytes of which the capture lacks the middle: ours cannot give them.
    const { differences } = await replay(
      capture(
        syn,
        said({ seq: 0, flags: SYN | ACK }),
        tcp({ sport: 5000, dport: 80, seq: 101, ack: 1, flags: ACK }),
        said({ seq: 1 }, 'abc'),
        said({ seq: 6 }, 'fgh'),
        tcp({ sport: 5000, dport: 80, seq: 101, ack: 9, flags: ACK }, 'x'),
        said({ seq: 9, ack: 102 }),
      ),
    );
    // Both lack them, so that is no difference; and nothing hangs.
    expect(differences.filter((one) => one.matters)).toEqual([]);
  });
});
