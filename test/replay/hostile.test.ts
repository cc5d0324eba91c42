// What a recording may not bring about, and what it must not be held against: captures that lack frames, begin in the
// middle of something, or were made up to be expensive.

import { describe, expect, test } from 'vitest';
import { replay } from '../../src/replay/replay.ts';
import { StreamAssembler } from '../../src/replay/streams.ts';
import { capture } from '../support/captures.ts';
import {
  ACK,
  arp,
  BROADCAST_MAC,
  DNS_MAC,
  FIN,
  GATEWAY_MAC,
  GUEST_MAC,
  PSH,
  RST,
  SYN,
  tcp,
  udp,
} from '../support/raw-frames.ts';

const GUEST = { sport: 5000, dport: 80 };
/** The same from the network's side. */
const fromNetwork = { from: GATEWAY_MAC, to: GUEST_MAC, src: '10.0.2.2', dst: '10.0.2.15' };
const REMOTE = { ...fromNetwork, sport: 80, dport: 5000 };

async function mattersOf(...frames: Uint8Array[]): Promise<string[]> {
  const { differences } = await replay(capture(...frames));
  return differences
    .filter((one) => one.matters)
    .map(({ field, theirs, ours }) => `${field}: ${theirs} / ${ours}`);
}

/** A DHCP message with nothing in it but its type. */
function dhcp(op: number, xid: number, type: number, yiaddr: readonly number[] = [0, 0, 0, 0]): Buffer {
  const message = Buffer.alloc(300);
  message.set([op, 1, 6, 0], 0);
  message.writeUInt32BE(xid, 4);
  message.set(yiaddr, 16);
  message.set([0x52, 0x54, 0x00, 0x12, 0x34, 0x56], 28);
  message.writeUInt32BE(0x63825363, 236);
  message.set([53, 1, type, 255], 240);
  const ends = { src: '0.0.0.0', dst: '255.255.255.255', to: BROADCAST_MAC, sport: 68, dport: 67 };
  return op === 1 ? udp(message, ends) : udp(message, { ...fromNetwork, sport: 67, dport: 68 });
}

/** One question for A of `x`, or its answer without any. */
function query(id: number, isAnswer: boolean): Buffer {
  const message = Buffer.from([
    0,
    0,
    isAnswer ? 0x81 : 1,
    0x80,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    0x78,
    0,
    0,
    1,
    0,
    1,
  ]);
  message.writeUInt16BE(id);
  const ends = { dst: '10.0.2.3', to: DNS_MAC, sport: 3000, dport: 53 };
  return isAnswer
    ? udp(message, { ...fromNetwork, from: DNS_MAC, src: '10.0.2.3', sport: 53, dport: 3000 })
    : udp(message, ends);
}

describe('a capture that begins in the middle', () => {
  test('of a question by ARP, DHCP or DNS: answers without one are no facts', async () => {
    const { differences } = await replay(
      capture(
        arp(2, '10.0.2.2', '10.0.2.15', { from: GATEWAY_MAC, to: GUEST_MAC }),
        dhcp(2, 7, 5, [10, 0, 2, 15]),
        query(1, true),
        udp('hello'),
      ),
    );
    expect(differences).toEqual([]);
  });

  test('of a DHCP exchange: the next one is compared with itself', async () => {
    expect(
      await mattersOf(dhcp(2, 7, 5, [10, 0, 2, 15]), dhcp(1, 8, 1), dhcp(2, 8, 2, [10, 0, 2, 15])),
    ).not.toContain('lease.offer: OFFER / -');
  });

  test('of a connection, whose ports are used again: the second one is the first that counts', async () => {
    const matters = await mattersOf(
      tcp({ ...GUEST, seq: 50, ack: 9, flags: ACK }),
      tcp({ ...GUEST, seq: 100, flags: SYN }),
      tcp({ ...REMOTE, seq: 0, ack: 101, flags: SYN | ACK }),
      tcp({ ...GUEST, seq: 101, ack: 1, flags: ACK }),
    );
    expect(matters).toEqual([]);
  });
});

describe('a capture that lacks frames', () => {
  const open = [
    tcp({ ...GUEST, seq: 100, flags: SYN }),
    tcp({ ...REMOTE, seq: 0, ack: 101, flags: SYN | ACK }),
    tcp({ ...GUEST, seq: 101, ack: 1, flags: ACK }),
  ];
  const close = [
    tcp({ ...REMOTE, seq: 9, ack: 106, flags: FIN | ACK }),
    tcp({ ...GUEST, seq: 106, ack: 10, flags: FIN | ACK }),
    tcp({ ...REMOTE, seq: 10, ack: 107, flags: ACK }),
  ];
  const asked = tcp({ ...GUEST, seq: 101, ack: 1, flags: ACK | PSH }, 'hello');
  const first = tcp({ ...REMOTE, seq: 1, ack: 106, flags: ACK }, 'abcd');
  const second = tcp({ ...REMOTE, seq: 5, ack: 106, flags: ACK | PSH }, 'efgh');

  test.each([
    ['nothing', [...open, asked, first, second, ...close], []],
    ['data for the guest', [...open, asked, second, ...close], ['1']],
    ['data of the guest', [...open, first, second, ...close], ['1']],
    ['the SYN-ACK', [open[0]!, open[2]!, asked, first, second, ...close], ['1']],
    ['the last acknowledgment', [...open, asked, first, second, ...close.slice(0, 2)], []],
  ])('%s: what follows from that does not matter, and is told', async (_, frames, lacking) => {
    const { differences, notes } = await replay(capture(...frames));
    expect(differences.filter((one) => one.matters)).toEqual([]);
    expect(notes).toEqual(
      lacking.map((n) => `${n} TCP connection of which frames are missing, no difference there matters`),
    );
  });

  test('the guest of a connection whose SYN-ACK is missing is served nevertheless', async () => {
    const { differences, facts } = await replay(capture(open[0]!, open[2]!, asked, first, second, ...close));
    expect(differences.map((one) => one.field)).not.toContain('tcp.toGuest');
    expect(differences.map((one) => one.field)).not.toContain('tcp.toHost');
    expect(facts).toBeGreaterThan(3);
  });

  test('a reset behind FIN is a close of its own, unless both sides are done', async () => {
    const fin = [...open, tcp({ ...REMOTE, seq: 1, ack: 101, flags: FIN | ACK })];
    const reset = tcp({ ...REMOTE, seq: 2, ack: 106, flags: RST | ACK });
    const said = tcp({ ...GUEST, seq: 101, ack: 2, flags: ACK | PSH }, 'hello');
    const { capture: out, differences } = await replay(capture(...fin, said, reset));
    expect(differences.filter((one) => one.matters)).toEqual([]);
    // The host's side has reset, and so has ours.
    expect(out.length).toBeGreaterThan(0);
    expect(await mattersOf(...open, asked, first, second, ...close, reset)).toEqual([]);
  });
});

test('two clients of a port of the guest, the first of which it never answers: the second is its own', async () => {
  const client = (sport: number, seq: number, flags: number, ack = 0, data = ''): Buffer =>
    tcp({ ...fromNetwork, sport, dport: 22, seq, ack, flags }, data);
  const guest = (dport: number, seq: number, ack: number, flags: number, data = ''): Buffer =>
    tcp({ sport: 22, dport, seq, ack, flags }, data);
  const { differences, stats } = await replay(
    capture(
      client(901, 10, SYN),
      client(902, 5000, SYN),
      guest(902, 70, 5001, SYN | ACK),
      client(902, 5001, ACK, 71),
      client(902, 5001, ACK | PSH, 71, 'hi'),
      guest(902, 71, 5003, ACK | PSH, 'yes'),
      client(902, 5003, ACK, 74),
    ),
  );
  expect(differences.filter((one) => one.matters)).toEqual([]);
  expect(stats.drops).toEqual({});
});

test('a flood of source addresses is no crowd of guests', async () => {
  const flood = Array.from({ length: 300 }, (_, i) =>
    udp('x', {
      from: `52:54:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
    }),
  );
  const { guests, notes } = await replay(capture(...flood));
  expect(guests.length).toBe(64);
  expect(notes).toEqual(['236 frames of guests beyond the first 64, left out']);
});

test('an arena without room for the guests is a mistake in the configuration', async () => {
  const two = capture(udp('x'), udp('x', { from: '52:54:00:00:00:09' }));
  await expect(replay(two, { limits: { arenaBytes: 1 << 18 } })).rejects.toThrow(/^limits\.arenaBytes: /);
});

test('guests are MACs, in any spelling, each once', async () => {
  const frames = capture(udp('x'));
  await expect(replay(frames, {}, { guests: ['me'] })).rejects.toThrow('guests: "me" is not a MAC address');
  const { guests } = await replay(
    frames,
    {},
    { guests: [GUEST_MAC, GUEST_MAC.toUpperCase().replaceAll(':', '-')] },
  );
  expect(guests).toEqual([GUEST_MAC]);
});

test('a guest that is named and sends nothing is a mistake, not a replay of nothing', async () => {
  const frames = capture(udp('x'), udp('y', { to: '52:54:00:00:00:09' }));
  for (const guests of [['52:54:00:00:00:09'], [GUEST_MAC, '52-54-00-00-00-09']])
    await expect(replay(frames, {}, { guests })).rejects.toThrow(
      /^guests: 52:54:00:00:00:09 sends no frame$/,
    );
});

test('times at the end of the world, and steps back, are times', async () => {
  const frames = capture(udp('a'), udp('b'), udp('c')).map((one, i) => ({
    ...one,
    seconds: [2 ** 52, 0, 2 ** 62][i]!,
  }));
  expect((await replay(frames)).frames).toBe(3);
});

describe('what is expensive to look through', () => {
  /** Milliseconds. */
  const timed = (work: () => void): number => {
    const began = performance.now();
    work();
    return performance.now() - began;
  };

  test('a stream of many segments, and one with many pieces behind a gap, take time by their length', () => {
    const stream = (segments: number, gap: number): void => {
      const one = new StreamAssembler();
      for (let i = 0; i < gap; i++) one.add(100_000_000 + 2 * i, Uint8Array.of(1));
      for (let i = 0; i < segments; i++) one.add(i, Uint8Array.of(1));
      expect([one.length, one.hasGap]).toEqual([segments, gap > 0]);
    };
    // With a pass over all pieces for each segment both took a minute.
    stream(1000, 100);
    expect(timed(() => stream(100_000, 0))).toBeLessThan(2000);
    expect(timed(() => stream(100_000, 4096))).toBeLessThan(2000);
  });
});
