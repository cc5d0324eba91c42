import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMemory } from '../../src/base/memory.ts';
import type { PlayedStream } from '../../src/host/played-host.ts';
import { MAX_QUERY, RESOLVER_MS } from '../../src/services/dns-exchange.ts';
import { MAX_QUERIES_PER_PORT, MAX_STREAMS_PER_PORT } from '../../src/services/dns-relay.ts';
import { IDLE_MS, MAX_PIPELINED } from '../../src/services/dns-stream.ts';
import * as dns from '../../src/wire/dns.ts';
import { MessageReader } from '../../src/wire/dns-framing.ts';
import { DnsBench, FIRST, SECOND } from '../support/dns-bench.ts';
import { answerTo, dnsQuery, framed } from '../support/dns-messages.ts';
import { type FakeConnection, peer } from '../support/fake-ports.ts';

const A = [192, 0, 2, 80];
const QUERY = dnsQuery(0x1234, 'www.example.org');
const named = (n: number): Uint8Array => dnsQuery(n, `n${n}.example`);
const concat = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const rcodeOf = (bytes: Uint8Array): number => dns.rcode(new DataView(bytes.buffer, bytes.byteOffset), 0);

/** The messages of a stream of bytes. */
function messages(said: ArrayLike<number>): Uint8Array[] {
  const bytes = Uint8Array.from(said);
  const list: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const len = (bytes[at]! << 8) | bytes[at + 1]!;
    list.push(bytes.subarray(at + 2, at + 2 + len));
    at += 2 + len;
  }
  return list;
}

/** From now on resolvers take each connection and answer each query with `rdata`. */
function answering(b: DnsBench, rdata: readonly number[] = A): void {
  b.host.onConnect = (stream) => void stream.open();
  b.host.onWrite = (stream) => void stream.gives(framed(answerTo(messages(stream.written)[0]!, rdata)));
}

function isDone(b: DnsBench): boolean {
  return b.host.openStreams.length === 0 && b.relay.pending === 0;
}

describe('a query over TCP', () => {
  test('goes to the resolver over TCP with an id of its own, and back with the guest id', () => {
    const b = new DnsBench();
    const guest = b.connect();
    expect(guest.write(framed(QUERY))).toBe(true);
    const { stream } = b.host;
    expect(stream.to).toEqual(FIRST);
    stream.open();
    b.run();
    const [sent] = messages(stream.written);
    expect([...sent!.subarray(2)]).toEqual([...QUERY.subarray(2)]);
    stream.gives(framed(answerTo(sent!, A)));
    b.run();
    expect(messages(guest.received)).toEqual([answerTo(QUERY, A)]);
    expect(stream.wasReset).toBe(true);
    expect(isDone(b)).toBe(true);
    expect(b.ports.arena.used).toBe(usedBy(b, guest));
  });

  test('RFC 1035 4.2.2: any split of the bytes, both ways', () => {
    for (let at = 1; at < framed(QUERY).length; at++) {
      const b = new DnsBench();
      const guest = b.connect();
      guest.write(framed(QUERY).subarray(0, at));
      guest.write(framed(QUERY).subarray(at));
      b.host.stream.open();
      b.run();
      const answer = framed(answerTo(messages(b.host.stream.written)[0]!, A));
      b.host.stream.gives(answer.subarray(0, at)).gives(answer.subarray(at));
      b.run();
      expect(messages(guest.received)).toEqual([answerTo(QUERY, A)]);
    }
  });

  test('RFC 7766 6.2.1.1: pipelined queries are answered as they come in, each with its id', () => {
    const b = new DnsBench();
    const guest = b.connect();
    guest.write(concat(framed(named(1)), framed(named(2)), framed(named(3))));
    for (const stream of b.host.streams) stream.open();
    b.run();
    const [one, two, three] = b.host.streams;
    for (const stream of [three!, one!, two!]) {
      stream.gives(framed(answerTo(messages(stream.written)[0]!, A)));
      b.run();
    }
    expect(messages(guest.received)).toEqual([3, 1, 2].map((n) => answerTo(named(n), A)));
  });

  test('more than 8 at once wait in the guest, and are all answered', () => {
    const b = new DnsBench();
    const guest = b.connect();
    answering(b);
    const all = Array.from({ length: 30 }, (_, i) => named(i + 1));
    expect(guest.write(concat(...all.map(framed)))).toBe(false);
    expect(b.relay.pending).toBe(MAX_PIPELINED);
    b.run();
    expect(guest.pendingWrite).toBe(false);
    expect(messages(guest.received).length).toBe(30);
    expect(guest.calls.filter((call) => call === 'written').length).toBe(1);
    expect(isDone(b)).toBe(true);
  });

  test('an answer of 65535 bytes arrives whole, through a pad or a region of the guest flow', () => {
    for (const regionLen of [0, 99, 65536]) {
      const b = new DnsBench();
      const guest = b.connect();
      guest.regionLen = regionLen;
      guest.write(framed(QUERY));
      b.host.stream.open();
      b.run();
      const sent = messages(b.host.stream.written)[0]!;
      const rdata = Array.from({ length: 65535 - QUERY.length - 12 }, (_, i) => i & 255);
      b.host.stream.gives(framed(answerTo(sent, rdata)));
      b.run();
      expect(guest.received.length).toBe(65537);
      expect(messages(guest.received)[0]).toEqual(answerTo(QUERY, rdata));
    }
  });

  test('a guest that stops reading gets the rest after resume(), and no more queries are taken meanwhile', () => {
    const b = new DnsBench();
    const guest = b.connect();
    answering(b, new Array(30_000).fill(7));
    guest.takes = 10_000;
    guest.write(concat(...Array.from({ length: 20 }, (_, i) => framed(named(i + 1)))));
    b.run();
    expect(guest.received.length).toBe(16_384);
    expect(guest.pendingWrite).toBe(true);
    expect(b.host.streams.length).toBeLessThanOrEqual(MAX_PIPELINED + 2);
    expect(isDone(b)).toBe(true);
    guest.resume();
    b.run();
    expect(messages(guest.received).length).toBe(20);
  });

  test('pause() holds answers back', () => {
    const b = new DnsBench();
    const guest = b.connect();
    answering(b);
    guest.pause();
    guest.write(framed(QUERY));
    b.run();
    expect(guest.received).toEqual([]);
    guest.resume();
    b.run();
    expect(messages(guest.received).length).toBe(1);
  });
});

/** What the arena holds with nothing but the fake guest's own blocks in addition. */
function usedBy(b: DnsBench, ...guests: FakeConnection[]): number {
  return b.atRest + guests.length * 2 * 65536;
}

describe('resolvers over TCP', () => {
  const ask = (b: DnsBench): FakeConnection => {
    const guest = b.connect();
    guest.write(framed(QUERY));
    return guest;
  };
  const second = (b: DnsBench, guest: FakeConnection): void => {
    expect(b.host.stream.to).toEqual(SECOND);
    answering(b);
    b.host.stream.open();
    b.run();
    expect(messages(guest.received)).toEqual([answerTo(QUERY, A)]);
    expect(isDone(b)).toBe(true);
    expect(b.ports.arena.used).toBe(usedBy(b, guest));
  };

  test('one that refuses is followed by the next at once', () => {
    const b = new DnsBench();
    const guest = ask(b);
    b.host.stream.fail('refused');
    b.run();
    second(b, guest);
  });

  test('one that hangs is followed by the next after 2 s', () => {
    const b = new DnsBench();
    const guest = ask(b);
    b.advance(RESOLVER_MS - 1);
    expect(b.host.streams.length).toBe(1);
    b.advance(1);
    second(b, guest);
    expect(b.host.streams[0]!.wasReset).toBe(true);
  });

  test.each([
    ['half an answer and FIN', (s: PlayedStream) => s.gives(Uint8Array.of(0, 50, 1, 2)).ends()],
    ['FIN and nothing', (s: PlayedStream) => s.ends()],
    ['a reset', (s: PlayedStream) => s.fail('reset')],
    ['a length below a header', (s: PlayedStream) => s.gives(Uint8Array.of(0, 3, 1, 2, 3))],
  ])('one that gives %s is followed by the next at once', (_, act) => {
    const b = new DnsBench();
    const guest = ask(b);
    b.host.stream.open();
    b.run();
    act(b.host.stream);
    b.run();
    second(b, guest);
  });

  test('a wrong answer before the right one is ignored', () => {
    const b = new DnsBench();
    const guest = ask(b);
    b.host.stream.open();
    b.run();
    const sent = messages(b.host.stream.written)[0]!;
    const wrong = answerTo(dnsQuery(dns.id(new DataView(sent.buffer), 0) ^ 1, 'www.example.org'), A);
    b.host.stream.gives(concat(framed(wrong), framed(answerTo(sent, A))));
    b.run();
    expect(messages(guest.received)).toEqual([answerTo(QUERY, A)]);
  });

  test('a write that the host holds keeps its bytes until the end', () => {
    const b = new DnsBench();
    answering(b);
    const guest = ask(b);
    b.host.stream.holdWrites = true;
    b.run();
    expect(b.host.stream.isHolding).toBe(true);
    b.host.stream.letGo();
    b.run();
    expect(messages(guest.received)).toEqual([answerTo(QUERY, A)]);
  });

  test('nobody answers, or nobody is there: SERVFAIL', () => {
    const b = new DnsBench();
    const guest = ask(b);
    b.advance(2 * RESOLVER_MS);
    expect(messages(guest.received).map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
    const none = new DnsBench([]);
    const other = ask(none);
    none.run();
    expect(messages(other.received).map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
  });
});

describe('the end of a connection', () => {
  test('the guest ends after its query: the answer, then FIN, then closed', () => {
    const b = new DnsBench();
    const guest = b.connect();
    guest.write(framed(QUERY));
    guest.end();
    b.host.stream.open();
    answering(b);
    b.run();
    expect(guest.calls).toEqual(['read', 'end', 'close']);
    expect(guest.closed).toBeNull();
    expect(b.ports.timers.armed).toBe(0);
  });

  test('RFC 7766 6.2.3: an idle connection is ended after 10 s, and reset after 10 more', () => {
    const b = new DnsBench();
    const polite = b.connect();
    const stubborn = b.connect();
    b.advance(IDLE_MS - 1);
    expect(polite.ended).toBe(false);
    b.advance(1);
    expect([polite.ended, stubborn.ended]).toEqual([true, true]);
    polite.end();
    b.run();
    expect(polite.closed).toBeNull();
    b.advance(IDLE_MS);
    expect(stubborn.closed).toBe('timed-out');
    expect(b.ports.timers.armed).toBe(0);
  });

  test('each query begins the 10 s anew, and a query under way holds it open', () => {
    const b = new DnsBench(Array.from({ length: 9 }, () => FIRST));
    const guest = b.connect();
    b.advance(IDLE_MS - 1);
    guest.write(framed(QUERY));
    b.advance(IDLE_MS + 1000);
    expect(guest.ended).toBe(false);
    b.advance(9 * RESOLVER_MS);
    expect(messages(guest.received).map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
    b.advance(IDLE_MS);
    expect(guest.ended).toBe(true);
  });

  test('a guest that does not read its answers is reset', () => {
    const b = new DnsBench();
    const guest = b.connect();
    answering(b);
    guest.pause();
    guest.write(framed(QUERY));
    b.advance(IDLE_MS);
    expect(guest.closed).toBe('timed-out');
  });

  test('reset() cancels what is under way; only onClose follows', () => {
    const b = new DnsBench();
    const guest = b.connect();
    guest.write(framed(QUERY));
    guest.reset();
    b.run();
    expect(guest.calls).toEqual(['close']);
    expect(guest.closed).toBeNull();
    expect(isDone(b)).toBe(true);
    expect(b.ports.timers.armed).toBe(0);
    expect(b.ports.arena.used).toBe(usedBy(b, guest));
  });

  test('stop() in the middle of it all resets it, and leaves no timer and no stream', () => {
    const b = new DnsBench();
    const guest = b.connect();
    guest.write(framed(QUERY));
    b.relay.stop();
    b.advance(60_000);
    expect(guest.calls).toEqual(['close']);
    expect(guest.closed).toBe('reset');
    expect(b.host.openStreams).toEqual([]);
    expect(b.ports.timers.armed).toBe(0);
  });
});

describe('what makes no sense, and too much', () => {
  test.each([
    ['a length below a header', Uint8Array.of(0, 11)],
    ['a length over the limit', Uint8Array.of((MAX_QUERY + 1) >> 8, (MAX_QUERY + 1) & 255)],
    ['an answer', framed(answerTo(QUERY, A))],
  ])('%s resets the connection', (_, bytes) => {
    const b = new DnsBench();
    const guest = b.connect();
    guest.write(concat(bytes, framed(QUERY)));
    b.run();
    expect(guest.closed).toBe('reset');
    expect(isDone(b)).toBe(true);
  });

  test('a broken question gets FORMERR, and the connection goes on', () => {
    const b = new DnsBench();
    const guest = b.connect();
    answering(b);
    guest.write(concat(framed(QUERY.subarray(0, 20)), framed(QUERY)));
    b.run();
    expect(messages(guest.received).map(rcodeOf)).toEqual([dns.Rcode.FormErr, dns.Rcode.NoError]);
  });

  test('one port has 16 connections; the next is reset, another port is not disturbed', () => {
    const b = new DnsBench();
    const from = (ingress: number): FakeConnection =>
      b.connect(peer('10.0.2.15', 4000, '52:54:00:00:00:01', ingress));
    const first = from(1);
    for (let i = 1; i < MAX_STREAMS_PER_PORT; i++) from(1);
    const over = from(1);
    const other = from(2);
    b.run();
    expect([over.closed, first.closed, other.closed]).toEqual(['reset', undefined, undefined]);
    first.reset();
    b.run();
    const again = from(1);
    b.run();
    expect(again.closed).toBeUndefined();
  });

  test('beyond the queries of its port a guest gets SERVFAIL', () => {
    const b = new DnsBench();
    for (let i = 0; i < MAX_QUERIES_PER_PORT; i++) b.query(named(i));
    const guest = b.connect();
    guest.write(framed(QUERY));
    b.run();
    expect(messages(guest.received).map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
  });

  test('any bytes in any pieces: no throw, and in the end nothing is left', () => {
    const piece = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.constant(framed(QUERY)));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.integer({ min: 1, max: 50 }), (pieces, back) => {
        const b = new DnsBench();
        const guest = b.connect();
        for (const bytes of pieces) {
          if (guest.closed === undefined && !guest.pendingWrite) guest.write(bytes);
          for (const stream of b.host.openStreams) stream.open().gives(new Uint8Array(back).fill(back));
          b.run();
        }
        b.advance(200_000);
        expect(guest.closed).not.toBeUndefined();
        expect(isDone(b)).toBe(true);
        expect(b.ports.timers.armed).toBe(0);
        expect(b.ports.arena.used).toBe(usedBy(b, guest));
      }),
      { numRuns: 100 },
    );
  });
});

test('the reader puts messages together from any pieces', () => {
  const memory = createMemory(65536, (buffer) => new Uint8Array(buffer));
  const message = fc.uint8Array({ minLength: 12, maxLength: 300 });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
      (list, cuts) => {
        const bytes = concat(...list.map(framed));
        const reader = new MessageReader(300);
        const got: Uint8Array[] = [];
        for (let at = 0, k = 0; at < bytes.length; k++) {
          const part = bytes.subarray(at, at + cuts[k % cuts.length]!);
          memory.bytes.set(part, 100);
          at += reader.take(memory, 100, part.length);
          if (reader.message !== null) got.push(reader.message);
          if (reader.message !== null) reader.clear();
        }
        expect(got).toEqual(list);
      },
    ),
  );
});
