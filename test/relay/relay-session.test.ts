// The server's side of a relay, with a client that says whatever the test has it say.

import { expect, test } from 'vitest';
import { formatIp } from '../../src/base/addr.ts';
import { HostJudge, NAMED_RANGES } from '../../src/base/ranges.ts';
import { credentialsExtension } from '../../src/relay/credentials.ts';
import { duplexOffer } from '../../src/relay/duplex.ts';
import { SEND_HIGH } from '../../src/relay/message-socket.ts';
import type { Judge } from '../../src/relay/relay-rules.ts';
import * as wisp from '../../src/relay/wisp.ts';
import { SessionBench } from '../support/relay-world.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const UDP = { id: wisp.ExtensionId.Udp, payload: new Uint8Array(0) };
const OPEN = { id: wisp.ExtensionId.StreamOpen, payload: new Uint8Array(0) };
const CREDENTIALS = { username: 'joe', password: 'sesame €' };

const publicOnly: Judge = (addr) =>
  new HostJudge({
    deny: [...NAMED_RANGES.private, ...NAMED_RANGES.cgnat],
    hostLoopback: false,
    linkLocal: false,
  }).allows(addr);

test('version 2: INFO first, CONTINUE once the client has answered', () => {
  const bench = new SessionBench();
  expect(bench.news()).toEqual(['INFO 2 [5,75,1]']);
  bench.says(wisp.info([UDP]));
  expect(bench.news()).toEqual(['CONTINUE 0 128']);
  expect(bench.session.version).toBe(2);
});

test('version 1: without the subprotocol there is no INFO', () => {
  const bench = new SessionBench({ protocol: '' });
  expect(bench.news()).toEqual(['CONTINUE 0 128']);
  bench.connects(7, '192.0.2.1');
  bench.outside.tcp[0]!.open();
  bench.sends(7, 'hello');
  expect(bench.outside.tcp[0]!.text).toBe('hello');
});

test('who offers version 2 and says nothing for 5 s, or speaks otherwise, is taken for version 1', () => {
  const silent = new SessionBench();
  silent.clock.advance(4999);
  expect(silent.session.version).toBe(0);
  silent.clock.advance(1);
  expect(silent.news()).toEqual(['INFO 2 [5,75,1]', 'CONTINUE 0 128']);
  const hasty = new SessionBench();
  hasty.connects(1, '192.0.2.1');
  expect(hasty.news()).toEqual(['INFO 2 [5,75,1]', 'CONTINUE 0 128']);
  expect(hasty.outside.tcp).toHaveLength(1);
});

test('a password: right, wrong, missing, and version 1', () => {
  const right = SessionBench.greeted([credentialsExtension(CREDENTIALS)], { credentials: CREDENTIALS });
  expect(right.session.version).toBe(2);
  const wrong = new SessionBench({ credentials: CREDENTIALS });
  wrong.says(wisp.info([credentialsExtension({ username: 'joe', password: 'sesame' })]));
  expect(wrong.news()).toEqual(['INFO 2 [5,75,1,2]', 'CLOSE 0 c0']);
  expect(wrong.client.closedWith).toBe(1008);
  const missing = new SessionBench({ credentials: CREDENTIALS });
  missing.says(wisp.info([]));
  expect(missing.news().at(-1)).toBe('CLOSE 0 c2');
  const old = new SessionBench({ credentials: CREDENTIALS, protocol: '' });
  old.connects(1, '192.0.2.1');
  expect(old.news().at(-1)).toBe('CLOSE 0 c2');
  expect(old.outside.tcp).toHaveLength(0);
  expect([wrong.counters.badCredentials, missing.counters.noCredentials]).toEqual([1, 1]);
});

test('a name is resolved once, and the address that was judged is the one connected to', async () => {
  const judged: string[] = [];
  const bench = SessionBench.greeted([], {
    judge: (addr, port, proto) => {
      judged.push(`${proto} ${formatIp(addr)} ${port}`);
      return publicOnly(addr, port, proto);
    },
  });
  // A second lookup would say otherwise.
  bench.outside.names.set('rebound.example', [['203.0.113.9'], ['127.0.0.1']]);
  bench.connects(1, 'rebound.example', 8080);
  await bench.settles();
  expect(bench.outside.lookups).toEqual(['rebound.example']);
  expect(judged).toEqual(['tcp 203.0.113.9 8080']);
  expect(bench.outside.tcp.map(({ to }) => to)).toEqual(['203.0.113.9:8080']);
});

test('every address of a name is judged; those that are denied are never tried', async () => {
  const bench = SessionBench.greeted([], { judge: publicOnly });
  bench.outside.names.set('mixed.example', [['10.0.0.1', '::ffff:127.0.0.1', '203.0.113.9']]);
  bench.outside.names.set('inside.example', [['192.168.1.1', 'fe80::1', '169.254.169.254', '100.64.0.1']]);
  bench.connects(1, 'mixed.example');
  bench.connects(2, 'inside.example');
  bench.connects(3, '127.0.0.1');
  bench.connects(4, '::1');
  bench.connects(5, '0.0.0.0');
  expect(await bench.settles()).toEqual(['CLOSE 3 48', 'CLOSE 4 48', 'CLOSE 5 48', 'CLOSE 2 48']);
  expect(bench.outside.tcp.map(({ to }) => to)).toEqual(['203.0.113.9:80']);
  expect(bench.counters.blocked).toBe(5);
});

test('where one address fails the next is tried, and the last failure is told', async () => {
  const bench = SessionBench.greeted([]);
  bench.outside.names.set('two.example', [['203.0.113.1', '203.0.113.2']]);
  bench.connects(1, 'two.example');
  await bench.settles();
  bench.outside.tcp[0]!.closes('net-unreachable');
  bench.outside.tcp[1]!.closes('refused');
  expect(bench.news()).toEqual(['CLOSE 1 44']);
  bench.connects(2, 'nowhere.example');
  expect(await bench.settles()).toEqual(['CLOSE 2 42']);
  bench.connects(3, '203.0.113.3');
  bench.clock.advance(20_000);
  expect(bench.news()).toEqual(['CLOSE 3 43']);
  expect(bench.outside.tcp[2]!.calls).toEqual(['reset']);
});

test('names that are being looked up count until they have been, whoever has gone meanwhile', async () => {
  const bench = SessionBench.greeted([], { limits: { pending: 2 } });
  for (const id of [1, 2, 3]) {
    bench.connects(id, `${id}.example`);
    bench.says(wisp.close(id, wisp.CloseReason.Voluntary));
  }
  expect(bench.outside.lookups).toEqual(['1.example', '2.example']);
  await bench.settles();
  bench.connects(4, '4.example');
  expect(bench.outside.lookups).toHaveLength(3);
  expect(bench.counters.throttled).toBe(1);
});

test('half of the buffer is granted each time that half of it is empty', () => {
  const bench = SessionBench.greeted([OPEN], { limits: { packets: 8 } });
  bench.connects(1, '192.0.2.1');
  const host = bench.outside.tcp[0]!.open();
  expect(bench.news()).toEqual(['CONTINUE 1 8']);
  host.full = true;
  for (const text of 'abcdefgh') bench.sends(1, text);
  expect([host.text, bench.news()]).toEqual(['a', []]);
  host.drains();
  expect(host.text).toBe('abcdefgh');
  expect(bench.news()).toEqual(['CONTINUE 1 4', 'CONTINUE 1 4']);
});

test('a client that sends more than it may loses that stream, by packets and by bytes', () => {
  const bench = SessionBench.greeted([], { limits: { packets: 4, waitingBytes: 100 } });
  bench.connects(1, '192.0.2.1');
  for (let i = 0; i < 9; i++) bench.sends(1, 'x');
  expect(bench.news()).toEqual(['CLOSE 1 49']);
  bench.connects(2, '192.0.2.1');
  bench.connects(3, '192.0.2.1');
  bench.sends(2, 'x'.repeat(60));
  bench.sends(3, 'x'.repeat(50));
  expect(bench.news()).toEqual(['CLOSE 2 49']);
  expect(bench.counters.overruns).toBe(2);
});

test('streams and those that wait are limited', () => {
  const bench = SessionBench.greeted([], { limits: { streams: 3, pending: 2 } });
  for (const id of [1, 2, 3]) bench.connects(id, '192.0.2.1');
  expect(bench.news()).toEqual(['CLOSE 3 49']);
  for (const host of bench.outside.tcp) host.open();
  for (const id of [4, 5]) bench.connects(id, '192.0.2.1');
  expect(bench.news()).toEqual(['CLOSE 5 49']);
  expect(bench.counters.throttled).toBe(2);
});

test('duplex: a direction ends by an empty DATA, and CLOSE is a reset', () => {
  const bench = SessionBench.greeted([duplexOffer(4)]);
  bench.connects(1, '192.0.2.1');
  const host = bench.outside.tcp[0]!.open();
  bench.sends(1, 'question');
  bench.sends(1, '');
  expect([host.text, host.calls]).toEqual(['question', ['end']]);
  host.gives('answer').events.onEnd();
  expect(bench.news()).toEqual(['DATA 1 answer', 'DATA 1 ']);
  host.closes(null);
  expect(bench.session.openStreams).toBe(0);
  bench.connects(2, '192.0.2.1');
  bench.outside.tcp[1]!.open();
  bench.says(wisp.close(2, 2));
  expect(bench.outside.tcp[1]!.calls).toEqual(['reset']);
});

test('duplex: a host is not read beyond what the client buffers', () => {
  const bench = SessionBench.greeted([duplexOffer(2)]);
  bench.connects(1, '192.0.2.1');
  const host = bench.outside.tcp[0]!.open();
  host.gives('a').gives('b');
  expect(host.paused).toBe(true);
  bench.says(wisp.continuation(1, 1));
  expect(host.paused).toBe(false);
});

test('plain: CLOSE is a FIN behind what waits, and the FIN of the host is a CLOSE', () => {
  const bench = SessionBench.greeted([]);
  bench.connects(1, '192.0.2.1');
  const host = bench.outside.tcp[0]!.open();
  host.full = true;
  bench.sends(1, 'a');
  bench.sends(1, 'b');
  bench.says(wisp.close(1, 2));
  expect(host.calls).toEqual([]);
  host.drains();
  expect([host.text, host.calls]).toEqual(['ab', ['end']]);
  bench.clock.advance(10_000);
  expect(host.calls).toEqual(['end', 'reset']);
  bench.connects(2, '192.0.2.1');
  bench.outside.tcp[1]!.open().gives('bye').events.onEnd();
  expect(bench.news()).toEqual(['DATA 2 bye', 'CLOSE 2 2']);
});

test('UDP only where it is allowed and negotiated', () => {
  const bench = SessionBench.greeted([UDP]);
  bench.connects(1, '192.0.2.1', 53, 'udp');
  bench.sends(1, 'early');
  const host = bench.outside.udp[0]!.open();
  bench.sends(1, '');
  host.gives('answer');
  expect([host.chunks.length, bench.news()]).toEqual([2, ['DATA 1 answer']]);
  host.full = true;
  bench.sends(1, 'lost');
  expect(bench.counters).toMatchObject({ lostDatagrams: 1, bytesToHost: 5 });
  host.closes('refused');
  expect(bench.news()).toEqual(['CLOSE 1 44']);
  for (const other of [SessionBench.greeted([]), SessionBench.greeted([UDP], { udp: false })]) {
    other.connects(1, '192.0.2.1', 53, 'udp');
    expect(other.news()).toEqual(['CLOSE 1 48']);
  }
});

test('hosts are not read while the client takes nothing, and a client that never does is given up', () => {
  const bench = SessionBench.greeted([]);
  bench.connects(1, '192.0.2.1');
  const host = bench.outside.tcp[0]!.open();
  bench.server.clog();
  host.gives(new Uint8Array(SEND_HIGH));
  expect(host.paused).toBe(true);
  bench.server.unclog();
  bench.clock.runSoon();
  expect(host.paused).toBe(false);
  bench.server.clog();
  for (let i = 0; i < 17; i++) host.gives(new Uint8Array(SEND_HIGH));
  bench.clock.runSoon();
  expect([bench.counters.stuck, bench.over]).toEqual([1, 1]);
});

test('the end of the session resets every stream and leaves no timer', () => {
  const bench = SessionBench.greeted([]);
  for (const id of [1, 2]) bench.connects(id, '192.0.2.1');
  bench.outside.tcp[0]!.open();
  bench.client.close(1000, '');
  bench.clock.runSoon();
  expect(bench.outside.tcp.map(({ calls }) => calls)).toEqual([['reset'], ['reset']]);
  expect([bench.timers.armed, bench.over, bench.session.openStreams]).toEqual([0, 1, 0]);
});

test('whatever bytes come, nothing throws, and what is no packet ends the session', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed);
    const bench = seed % 2 === 0 ? SessionBench.greeted([UDP, duplexOffer(3)]) : new SessionBench();
    bench.outside.onConnect = (host) => bench.clock.soon(() => host.open().gives('x'));
    for (let i = 0; i < 60; i++) {
      const bytes = Uint8Array.from({ length: random.below(24) }, () => random.below(256));
      // Most of them nearly make sense.
      if (bytes.length >= 5 && random.below(8) > 0)
        bytes.set([1 + random.below(5), random.below(4), 0, 0, 0]);
      bench.says(bytes);
    }
    expect(bench.session.openStreams).toBeLessThanOrEqual(4);
    bench.session.close();
    bench.clock.runSoon();
    expect([bench.over, bench.timers.armed]).toEqual([1, 0]);
  }
});
