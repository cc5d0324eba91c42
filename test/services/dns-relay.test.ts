import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Drop, Loss } from '../../src/base/drop.ts';
import { RESOLVER_MS } from '../../src/services/dns-exchange.ts';
import { MAX_QUERIES, MAX_QUERIES_PER_PORT } from '../../src/services/dns-relay.ts';
import type { Peer } from '../../src/services/service.ts';
import * as dns from '../../src/wire/dns.ts';
import { DnsBench, FIRST, GUEST, resolver, SECOND } from '../support/dns-bench.ts';
import { answerTo, dnsQuery, opt } from '../support/dns-messages.ts';
import { peer } from '../support/fake-ports.ts';

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const idOf = (bytes: Uint8Array): number => dns.id(view(bytes), 0);
const rcodeOf = (bytes: Uint8Array): number => dns.rcode(view(bytes), 0);
const QUERY = dnsQuery(0x1234, 'www.example.org');
const A = [192, 0, 2, 80];

describe('a query over UDP', () => {
  test('goes to the first resolver untouched but for its id, and its answer comes back with the guest id', () => {
    const b = new DnsBench();
    expect(b.query(QUERY)).toBe(Drop.None);
    const { data, to } = b.host.socket.lastSent;
    expect(to).toEqual(FIRST);
    expect([...data.subarray(2)]).toEqual([...QUERY.subarray(2)]);
    b.host.socket.gives(answerTo(data, A), FIRST);
    b.run();
    expect(b.answers).toEqual([answerTo(QUERY, A)]);
    expect(b.ports.sent[0]?.to).toEqual(GUEST);
  });

  test('leaves nothing behind: no socket, no timer, no arena', () => {
    const b = new DnsBench();
    b.query(QUERY);
    b.host.socket.gives(answerTo(b.host.socket.lastSent.data, A), FIRST);
    b.run();
    expect(b.host.openSockets).toEqual([]);
    expect(b.ports.timers.armed).toBe(0);
    expect(b.relay.pending).toBe(0);
    expect(b.ports.arena.used).toBe(b.atRest);
  });

  test('RFC 5452 9.2: each has a socket and an id of its own', () => {
    const b = new DnsBench();
    for (let i = 0; i < 64; i++) b.query(dnsQuery(7, `n${i}.example`));
    expect(b.host.sockets.length).toBe(64);
    const ids = new Set(b.host.sockets.map((socket) => idOf(socket.lastSent.data)));
    expect(ids.size).toBeGreaterThan(60);
  });

  test('several at once are answered in any order, each to who asked', () => {
    const b = new DnsBench();
    const other = peer('10.0.2.16', 5353, '52:54:00:12:34:57', 2);
    b.query(dnsQuery(1, 'one.example'));
    b.query(dnsQuery(1, 'two.example'), other);
    const [one, two] = b.host.sockets;
    two!.gives(answerTo(two!.lastSent.data, A), FIRST);
    one!.gives(answerTo(one!.lastSent.data, A), FIRST);
    b.run();
    expect(b.ports.sent.map((sent) => sent.to)).toEqual([other, GUEST]);
    expect(b.answers).toEqual([
      answerTo(dnsQuery(1, 'two.example'), A),
      answerTo(dnsQuery(1, 'one.example'), A),
    ]);
  });

  test('a failure of the name itself, NXDOMAIN or SERVFAIL, passes as the resolver says it', () => {
    for (const code of [2, 3, 5]) {
      const b = new DnsBench();
      b.query(QUERY);
      const answer = answerTo(b.host.socket.lastSent.data, []);
      answer[3] = 0x80 | code;
      b.host.socket.gives(answer, FIRST);
      b.run();
      expect(b.answers.map(rcodeOf)).toEqual([code]);
      expect(b.drops.lost(Loss.DnsUnanswered)).toBe(0);
    }
  });
});

describe('what is no answer is ignored, RFC 5452 9.1', () => {
  test.each([
    ['another id', (q: Uint8Array) => Uint8Array.from([q[0]! ^ 1, ...answerTo(q, A).subarray(1)]), FIRST],
    ['another question', (q: Uint8Array) => answerTo(dnsQuery(idOf(q), 'www.example.com'), A), FIRST],
    ['another type', (q: Uint8Array) => answerTo(dnsQuery(idOf(q), 'www.example.org', 28), A), FIRST],
    ['a query', (q: Uint8Array) => q, FIRST],
    ['somebody else', (q: Uint8Array) => answerTo(q, A), resolver('192.0.2.9')],
    ['another port', (q: Uint8Array) => answerTo(q, A), resolver('192.0.2.1', 5353)],
    ['a resolver not asked yet', (q: Uint8Array) => answerTo(q, A), SECOND],
    ['an empty datagram', () => new Uint8Array(0), FIRST],
    [
      'no question',
      (q: Uint8Array) => Uint8Array.from([q[0]!, q[1]!, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]),
      FIRST,
    ],
  ])('%s', (_, make, from) => {
    const b = new DnsBench();
    b.query(QUERY);
    const { socket } = b.host;
    socket.gives(make(socket.lastSent.data), from);
    b.run();
    expect(b.answers).toEqual([]);
    socket.gives(answerTo(socket.lastSent.data, A), FIRST);
    b.run();
    expect(b.answers).toEqual([answerTo(QUERY, A)]);
  });
});

test('queries of a guest whose link is gone are given up, and others have their places', () => {
  const b = new DnsBench();
  const from = (port: number): Peer => peer('10.0.2.15', 40000, undefined, port);
  for (const port of [1, 2])
    for (let id = 0; id < MAX_QUERIES_PER_PORT; id++) b.query(dnsQuery(id, 'example.org'), from(port));
  expect(b.query(QUERY, from(3))).toBe(Drop.DnsBusy);
  const { length } = b.host.openSockets;
  b.relay.forgetPort(1);
  expect(b.relay.pending).toBe(MAX_QUERIES_PER_PORT);
  expect(b.host.openSockets.length).toBe(length - MAX_QUERIES_PER_PORT);
  expect(b.query(QUERY, from(3))).toBe(Drop.None);
  b.advance(10_000);
  expect(b.relay.pending).toBe(0);
  expect(b.drops.lost(Loss.DnsUnanswered)).toBe(MAX_QUERIES_PER_PORT + 1);
});

describe('resolvers that do not answer', () => {
  test('the next is asked after 2 s, and a late answer of the first still counts', () => {
    const b = new DnsBench();
    b.query(QUERY);
    const { socket } = b.host;
    b.advance(RESOLVER_MS - 1);
    expect(socket.sent.map(({ to }) => to)).toEqual([FIRST]);
    b.advance(1);
    expect(socket.sent.map(({ to }) => to)).toEqual([FIRST, SECOND]);
    expect(b.host.sockets.length).toBe(1);
    socket.gives(answerTo(socket.lastSent.data, A), FIRST);
    b.run();
    expect(b.answers).toEqual([answerTo(QUERY, A)]);
  });

  test('when all have had their time: SERVFAIL, counted, and nothing left', () => {
    const b = new DnsBench();
    b.query(QUERY);
    b.advance(2 * RESOLVER_MS - 1);
    expect(b.answers).toEqual([]);
    b.advance(1);
    expect(b.answers.map((answer) => [idOf(answer), rcodeOf(answer)])).toEqual([
      [0x1234, dns.Rcode.ServFail],
    ]);
    expect(b.drops.lost(Loss.DnsUnanswered)).toBe(1);
    expect(b.host.openSockets).toEqual([]);
    expect(b.ports.timers.armed).toBe(0);
  });

  test('a single one is asked twice', () => {
    const b = new DnsBench([FIRST]);
    b.query(QUERY);
    b.advance(2 * RESOLVER_MS);
    expect(b.host.socket.sent.map(({ to }) => to)).toEqual([FIRST, FIRST]);
    expect(b.answers.map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
  });

  test('one that refuses is followed by the next at once, from a fresh socket', () => {
    const b = new DnsBench();
    b.query(QUERY);
    b.host.socket.fails('refused');
    b.run();
    expect(b.host.sockets.length).toBe(2);
    expect(b.host.openSockets).toEqual([b.host.socket]);
    expect(b.host.socket.lastSent.to).toEqual(SECOND);
    b.host.socket.gives(answerTo(b.host.socket.lastSent.data, A), SECOND);
    b.run();
    expect(b.answers).toEqual([answerTo(QUERY, A)]);
  });

  test('all unreachable: SERVFAIL without waiting', () => {
    const b = new DnsBench();
    b.query(QUERY);
    b.host.socket.fails('net-unreachable');
    b.run();
    b.host.socket.fails('exhausted');
    b.run();
    expect(b.answers.map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
  });

  test('none configured: SERVFAIL at once; one that appears later is used', () => {
    const b = new DnsBench([]);
    expect(b.query(QUERY)).toBe(Drop.None);
    expect(b.answers.map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
    b.host.nameServers = [SECOND];
    b.query(QUERY);
    expect(b.host.socket.lastSent.to).toEqual(SECOND);
  });

  test('configured ones are asked instead of the host own, on their port', () => {
    const b = new DnsBench([FIRST], { dns: { resolvers: ['198.51.100.7:5353'] } });
    b.query(QUERY);
    expect(b.host.socket.lastSent.to).toEqual(resolver('198.51.100.7', 5353));
  });

  test('a full socket queue is a lost datagram, no more', () => {
    const b = new DnsBench();
    b.query(QUERY);
    b.host.socket.full = true;
    b.advance(RESOLVER_MS);
    expect(b.host.socket.sent.length).toBe(1);
    b.advance(RESOLVER_MS);
    expect(b.answers.map(rcodeOf)).toEqual([dns.Rcode.ServFail]);
  });
});

describe('the size of an answer, RFC 6891 6.2.5', () => {
  const ask = (query: Uint8Array, rdata: number): Uint8Array => {
    const b = new DnsBench();
    b.query(query);
    b.host.socket.gives(answerTo(b.host.socket.lastSent.data, new Array(rdata).fill(1)), FIRST);
    b.run();
    return b.answers[0]!;
  };
  const overhead = QUERY.length + 12;

  test('512 bytes pass without EDNS, 513 are truncated', () => {
    expect(ask(QUERY, 512 - overhead).length).toBe(512);
    const cut = ask(QUERY, 513 - overhead);
    expect(dns.isTruncated(view(cut), 0)).toBe(true);
    expect(cut.length).toBe(QUERY.length);
    expect(idOf(cut)).toBe(0x1234);
  });

  test('with EDNS the size that the guest said counts', () => {
    const query = dnsQuery(9, 'www.example.org', 1, opt(1400));
    expect(ask(query, 1400 - overhead).length).toBe(1400);
    const cut = ask(query, 1401 - overhead);
    expect(dns.isTruncated(view(cut), 0)).toBe(true);
    expect(cut.length).toBe(query.length);
  });

  test("the resolver's own TC passes", () => {
    const b = new DnsBench();
    b.query(QUERY);
    const answer = answerTo(b.host.socket.lastSent.data, []);
    answer[2]! |= 2;
    b.host.socket.gives(answer, FIRST);
    b.run();
    expect(dns.isTruncated(view(b.answers[0]!), 0)).toBe(true);
  });
});

describe('what is no query', () => {
  test('an answer or a stump is dropped without a word', () => {
    const b = new DnsBench();
    expect(b.query(answerTo(QUERY, A))).toBe(Drop.DnsMalformed);
    expect(b.query(QUERY.subarray(0, 11))).toBe(Drop.DnsMalformed);
    expect(b.query(new Uint8Array(0))).toBe(Drop.DnsMalformed);
    expect(b.answers).toEqual([]);
  });

  test('a broken or overlong query gets FORMERR, another opcode NOTIMP, a zone transfer REFUSED; nobody is asked', () => {
    const b = new DnsBench();
    expect(b.query(QUERY.subarray(0, 20))).toBe(Drop.DnsMalformed);
    expect(b.query(dnsQuery(1, 'a', 1, new Uint8Array(4096)))).toBe(Drop.DnsMalformed);
    const update = dnsQuery(1, 'a');
    update[2] = 5 << 3;
    expect(b.query(update)).toBe(Drop.None);
    expect(b.query(dnsQuery(1, 'a', 252))).toBe(Drop.None);
    expect(b.answers.map(rcodeOf)).toEqual([1, 1, 4, 5]);
    expect(b.host.sockets).toEqual([]);
  });
});

describe('limits', () => {
  const flood = (b: DnsBench, count: number, ingress: number): Drop[] =>
    Array.from({ length: count }, (_, i) =>
      b.query(dnsQuery(i, 'a'), peer('10.0.2.15', 1024 + i, '52:54:00:00:00:01', ingress)),
    );

  test('one port has 128 queries under way, and then DnsBusy; another port is not disturbed', () => {
    const b = new DnsBench();
    const verdicts = flood(b, MAX_QUERIES_PER_PORT + 5, 1);
    expect(verdicts.filter((drop) => drop === Drop.DnsBusy).length).toBe(5);
    expect(b.host.openSockets.length).toBe(MAX_QUERIES_PER_PORT);
    expect(flood(b, 1, 2)).toEqual([Drop.None]);
    b.advance(2 * RESOLVER_MS);
    expect(b.host.openSockets).toEqual([]);
    expect(flood(b, 1, 1)).toEqual([Drop.None]);
  });

  test('all ports together have 256', () => {
    const b = new DnsBench();
    for (const ingress of [1, 2, 3]) flood(b, 100, ingress);
    expect(b.relay.pending).toBe(MAX_QUERIES);
  });
});

describe('start and stop', () => {
  test('stop() gives everything back, in the middle of queries', () => {
    const b = new DnsBench();
    const before = b.ports.arena.used;
    b.query(QUERY);
    b.relay.stop();
    b.run();
    expect(b.host.openSockets).toEqual([]);
    expect(b.ports.timers.armed).toBe(0);
    expect(b.ports.boundUdp).toBe(0);
    expect(b.ports.arena.used).toBeLessThan(before);
  });

  test('a connection that comes after stop() is reset', () => {
    const b = new DnsBench();
    b.relay.stop();
    const used = b.ports.arena.used;
    b.relay.stop();
    expect(b.ports.arena.used).toBe(used);
    const guest = b.connect();
    b.run();
    expect(guest.closed).toBe('reset');
    expect(b.ports.timers.armed).toBe(0);
  });

  test('restrict: no name service', () => {
    const b = new DnsBench([FIRST], { restrict: true });
    expect([b.ports.boundUdp, b.ports.boundTcp]).toEqual([0, 0]);
    b.relay.stop();
  });
});

test('any datagram from a guest and from the resolver: no throw', () => {
  const tail = fc.uint8Array({ maxLength: 80 });
  const head = fc.constantFrom([], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  fc.assert(
    fc.property(fc.tuple(head, tail), tail, ([first, rest], back) => {
      const b = new DnsBench();
      b.query(Uint8Array.from([...first, ...rest]));
      for (const socket of b.host.openSockets) {
        socket.gives(back, FIRST);
        socket.gives(Uint8Array.from([...socket.lastSent.data.subarray(0, 2), 0x81, 0x80, ...back]), FIRST);
      }
      b.run();
    }),
    { numRuns: 200 },
  );
});
