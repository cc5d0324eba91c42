import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/segment-bytes.ts';
import { established, type HostSegment, type TcpPeer } from '../support/tcp-peer.ts';

const SIZE = 1000;

/** The i-th segment of a stream. */
function text(i: number): { seq: number; data: Uint8Array } {
  return { seq: 1 + SIZE * i, data: pattern(SIZE, SIZE * i) };
}

/** The blocks of an ACK as pairs of segment numbers: [2, 4] is the third and the fourth. */
function blocks({ tcb }: TcpPeer, sent: HostSegment): number[][] {
  const segment = (edge: number): number => (((edge - tcb.irs) | 0) - 1) / SIZE;
  return (sent.options.sack ?? []).map(([left, right]) => [segment(left), segment(right)]);
}

/** What is acknowledged, as a number of segments, and the blocks of each ACK that was sent. */
function answers(peer: TcpPeer): [number, ...number[][]][] {
  return peer.guest
    .takesAll()
    .map((sent): [number, ...number[][]] => [(sent.ack - 1) / SIZE, ...blocks(peer, sent)]);
}

describe('RFC 5681 4.2: without SACK each segment out of order gets a duplicate ACK', () => {
  test('in one turn as in many: three of them begin the fast retransmit of the peer', () => {
    const peer = established();
    peer.guest.sendsTogether(text(0));
    expect(answers(peer)).toEqual([[1]]);
    peer.guest.sendsTogether(text(2), text(3), text(4));
    expect(answers(peer)).toEqual([[1], [1], [1]]);
  });

  test('behind the ACK of what came in order in the same turn', () => {
    const peer = established();
    peer.guest.sendsTogether(text(0), text(1), text(3), text(4), text(5));
    expect(answers(peer)).toEqual([[2], [2], [2], [2]]);
  });

  test('none where the gap was closed within the turn', () => {
    const peer = established();
    peer.guest.sendsTogether(text(1), text(2), text(3), text(0));
    expect(answers(peer)).toEqual([[4]]);
    peer.guest.sendsTogether(text(5), text(6), text(4), text(8));
    expect(answers(peer)).toEqual([[7], [7]]);
  });

  test('a segment that fills a part of a gap is acknowledged at once', () => {
    const peer = established();
    peer.guest.sendsTogether(text(2));
    peer.guest.sendsTogether(text(0));
    peer.guest.sendsTogether(text(1));
    expect(answers(peer)).toEqual([[0], [1], [3]]);
  });

  test('RFC 5681 2: they all say the same window, and what has opened meanwhile is said behind them', () => {
    const peer = established({ flowBytes: 16_384, windShift: -1 });
    for (let i = 0; i < 15; i++) peer.guest.sends(text(i));
    const last = peer.guest.takesAll().at(-1)!.wnd;
    peer.run(() => {
      for (const seq of [15_101, 15_301]) peer.deliver(peer.guest.fields({ seq, data: pattern(100) }));
      // The host reads in the same turn.
      peer.host.takes();
    });
    const sent = peer.guest.takesAll();
    expect(sent.slice(0, 2).map((ack) => ack.wnd)).toEqual([last, last]);
    expect(sent.slice(2).map((ack) => ack.wnd)).toEqual([16_384]);
  });

  test('a FIN ahead of its turn is out of order too', () => {
    const peer = established();
    peer.guest.sendsTogether(text(1), { seq: 1 + 2 * SIZE, flags: 'FA' });
    expect(answers(peer)).toEqual([[0], [0]]);
  });

  test('a link without room gets them later, 64 at most', () => {
    const peer = established();
    peer.wire.room = 1;
    peer.guest.sendsTogether(...Array.from({ length: 100 }, (_, i) => ({ seq: 3 + 2 * i, data: 'x' })));
    expect(answers(peer)).toHaveLength(1);
    peer.host.linkIsWritable();
    expect(answers(peer)).toHaveLength(63);
  });
});

describe('RFC 2018 4: what has come out of order is reported in the turn it came', () => {
  test('four ranges an ACK, three beside timestamps; more ACKs where there are more, oldest news first', () => {
    const odd = Array.from({ length: 8 }, (_, i) => text(2 * i + 1));
    const stamped = established({ sackPermitted: true, timestamps: true });
    stamped.guest.sendsTogether(...odd);
    expect(answers(stamped)).toEqual([
      [0, [5, 6], [3, 4], [1, 2]],
      [0, [11, 12], [9, 10], [7, 8]],
      [0, [15, 16], [13, 14], [11, 12]],
    ]);
    const bare = established({ sackPermitted: true });
    bare.guest.sendsTogether(...odd);
    const said = answers(bare);
    expect(said.slice(0, 2)).toEqual([
      [0, [7, 8], [5, 6], [3, 4], [1, 2]],
      [0, [15, 16], [13, 14], [11, 12], [9, 10]],
    ]);
    // The third duplicate, for a peer that counts: nothing new.
    expect(said.slice(2)).toEqual([[0, [15, 16], [13, 14], [11, 12], [9, 10]]]);
  });

  test('the first block is the range of the most recent segment, then the ones reported most recently', () => {
    const peer = established({ sackPermitted: true, timestamps: true });
    for (const i of [1, 3, 5, 7]) peer.guest.sends(text(i));
    peer.guest.takesAll();
    peer.guest.sends(text(2));
    expect(answers(peer)).toEqual([[0, [1, 4], [7, 8], [5, 6]]]);
    peer.guest.sends(text(9));
    expect(answers(peer)).toEqual([[0, [9, 10], [1, 4], [7, 8]]]);
    peer.guest.sends(text(0));
    expect(answers(peer)).toEqual([[4, [9, 10], [7, 8], [5, 6]]]);
  });

  test('three duplicates at most for one loss, as many as begin a recovery; then one ACK a turn', () => {
    const peer = established({ sackPermitted: true });
    peer.guest.sendsTogether(...[1, 2, 3, 4, 5, 6].map(text));
    expect(answers(peer)).toHaveLength(3);
    peer.guest.sendsTogether(...[7, 8, 9, 10].map(text));
    expect(answers(peer)).toEqual([[0, [1, 11]]]);
    peer.guest.sendsTogether(text(0), text(12), text(13));
    expect(answers(peer)).toEqual([
      [11, [12, 14]],
      [11, [12, 14]],
      [11, [12, 14]],
    ]);
  });

  test('data that goes out carries news too', () => {
    const peer = established({ sackPermitted: true, timestamps: true });
    peer.guest.sendsTogether(text(1));
    peer.guest.takesAll();
    peer.run(() => {
      for (const i of [3, 5, 7, 9]) peer.deliver(peer.guest.fields(text(i)));
      peer.host.put(pattern(10));
    });
    const sent = peer.guest.takesAll();
    expect(sent[0]).toMatchObject({ len: 10 });
    const said = new Set(sent.flatMap((one) => blocks(peer, one).map(([left]) => left)));
    expect([...said].sort()).toEqual([3, 5, 7, 9]);
  });

  const turns = fc.array(fc.array(fc.nat(60), { minLength: 1, maxLength: 12 }), { maxLength: 20 });

  test.each([
    [false, false, 1500],
    [true, false, 1500],
    [true, true, 1500],
    [true, true, 80],
  ])(
    'SACK %s, timestamps %s, MTU %i: never more ACKs than segments, and all news is said',
    (sackPermitted, timestamps, mtu) => {
      fc.assert(
        fc.property(turns, (list) => {
          const peer = established({ sackPermitted, timestamps, mtu });
          const have = new Set<number>();
          for (const turn of list) {
            const fresh = turn.filter((i) => !have.has(i));
            for (const i of turn) have.add(i);
            peer.guest.sendsTogether(...turn.map(text));
            const sent = answers(peer);
            expect(sent.length).toBeGreaterThan(0);
            expect(sent.length).toBeLessThanOrEqual(turn.length);
            let inOrder = 0;
            while (have.has(inOrder)) inOrder++;
            expect(sent.every(([ack]) => ack === inOrder)).toBe(true);
            const said = sent.flatMap(([, ...ranges]) => ranges);
            for (const [left, right] of said)
              for (let i = left!; i < right!; i++) expect(have.has(i)).toBe(true);
            if (!sackPermitted) expect(said).toEqual([]);
            else
              for (const i of fresh)
                if (i >= inOrder) expect(said.some(([left, right]) => left! <= i && i < right!)).toBe(true);
            peer.host.takes();
            peer.guest.takesAll();
          }
        }),
        { numRuns: 60 },
      );
    },
  );
});

describe('RFC 2883: duplicates are reported', () => {
  const sack = { sackPermitted: true } as const;

  test('4.1: a whole segment that was acknowledged before, once', () => {
    const peer = established(sack);
    for (const i of [0, 1, 2]) peer.guest.sends(text(i));
    peer.guest.takesAll();
    peer.guest.sends(text(1));
    expect(answers(peer)).toEqual([[3, [1, 2]]]);
    peer.guest.sends(text(3));
    expect(answers(peer)).toEqual([[4]]);
  });

  test('4.1.1: with data out of order behind it, that follows', () => {
    const peer = established(sack);
    for (const i of [0, 2]) peer.guest.sends(text(i));
    peer.guest.takesAll();
    peer.guest.sends(text(0));
    expect(answers(peer)).toEqual([[1, [0, 1], [2, 3]]]);
  });

  test('4: second the range that it is part of, also before news of the same turn', () => {
    const { guest, tcb } = established({ sackPermitted: true });
    guest.sends({ seq: 10, data: 'x'.repeat(10) });
    guest.takesAll();
    guest.sendsTogether({ seq: 13, data: 'xx' }, { seq: 50, data: 'y'.repeat(10) });
    const blocks = guest
      .takesAll()
      .map(({ options }) => options.sack!.map((edges) => edges.map((edge) => edge - tcb.irs)));
    const withDuplicate = blocks.find(([first]) => first![0] === 13)!;
    expect(withDuplicate.slice(0, 3)).toEqual([
      [13, 15],
      [10, 20],
      [50, 60],
    ]);
  });

  test('4.1.3: of a range above the acknowledged: the segment, then the range that it is part of', () => {
    const peer = established(sack);
    for (const i of [1, 2, 3, 5]) peer.guest.sends(text(i));
    peer.guest.takesAll();
    peer.guest.sends(text(2));
    expect(answers(peer)).toEqual([[0, [2, 3], [1, 4], [5, 6]]]);
    peer.guest.sends(text(7));
    expect(answers(peer)).toEqual([[0, [7, 8], [1, 4], [5, 6]]]);
  });

  test('4.2: a part of a segment, before what is new of it', () => {
    const peer = established(sack);
    peer.guest.sends(text(0));
    peer.guest.takesAll();
    peer.guest.sends({ seq: 1, data: pattern(2 * SIZE) });
    expect(answers(peer)).toEqual([[2, [0, 1]]]);
    peer.guest.sends({ seq: 1 + 4 * SIZE, data: pattern(SIZE) });
    peer.guest.takesAll();
    peer.guest.sends({ seq: 1 + 3 * SIZE, data: pattern(2 * SIZE) });
    expect(answers(peer)).toEqual([[2, [4, 5], [3, 5]]]);
  });

  test('4.2: what fills a gap and reaches into what is there', () => {
    const peer = established(sack);
    peer.guest.sends(text(1));
    peer.guest.takesAll();
    peer.guest.sends({ seq: 1, data: pattern(2 * SIZE) });
    expect(answers(peer)).toEqual([[2, [1, 2]]]);
  });

  test('what follows on each other is one, what does not gets an ACK of its own', () => {
    const peer = established(sack);
    for (let i = 0; i < 8; i++) peer.guest.sends(text(i));
    peer.guest.takesAll();
    peer.guest.sendsTogether(...[1, 2, 3, 6].map(text));
    expect(answers(peer)).toEqual([
      [8, [1, 4]],
      [8, [6, 7]],
    ]);
  });

  test('RFC 7323 5.3: also where PAWS has found it, as with a segment that was overtaken by its copy', () => {
    const peer = established({ ...sack, timestamps: true });
    const late = peer.guest.fields(text(0));
    peer.guest.sends(text(0));
    peer.guest.takesAll();
    peer.run(() => peer.deliver(late));
    expect(answers(peer)).toEqual([[1, [0, 1]]]);
  });

  test('a FIN again is a duplicate, a keep-alive without text and a SYN are none', () => {
    const peer = established(sack);
    peer.guest.sends({ ...text(0), flags: 'FA' });
    expect(peer.guest.takesAll().at(-1)!.options.sack).toBe(undefined);
    peer.guest.sends({ seq: 1 + SIZE, flags: 'FA' });
    const { irs } = peer.tcb;
    expect(peer.guest.takesAll().at(-1)!.options.sack).toEqual([
      [(irs + 1 + SIZE) | 0, (irs + 2 + SIZE) | 0],
    ]);
    peer.guest.sends({ seq: SIZE });
    expect(peer.guest.takesAll().at(-1)!.options.sack).toBe(undefined);
    peer.guest.sends({ seq: 0, flags: 'S' });
    expect(peer.guest.takesAll().at(-1)!.options.sack).toBe(undefined);
  });

  test('nothing of it without SACK, or where it would leave no room for news', () => {
    for (const options of [{}, { ...sack, timestamps: true, mtu: 80 }]) {
      const peer = established(options);
      for (const i of [0, 1]) peer.guest.sends(text(i));
      peer.guest.takesAll();
      peer.guest.sends(text(0));
      expect(answers(peer)).toEqual([[2]]);
    }
  });
});
