// What one end of a relay does to the other: a client that makes the server hold more than it says, and the other way round.

import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { openRelay } from '../../src/node/relay-server.ts';
import { Refusals } from '../../src/node/websocket-refusals.ts';
import { credentialsExtension } from '../../src/relay/credentials.ts';
import { SEND_HIGH } from '../../src/relay/message-socket.ts';
import * as wisp from '../../src/relay/wisp.ts';
import { relayUrl } from '../../src/web/websocket-transport.ts';
import { describePacket, SessionBench } from '../support/relay-world.ts';

test('an id that is used again while the stream that had it drains is the new stream’s', () => {
  const bench = SessionBench.greeted([], { limits: { streams: 4 } });
  bench.connects(1, '192.0.2.1');
  const old = bench.outside.tcp[0]!.open();
  old.full = true;
  for (const text of 'ab') bench.sends(1, text);
  old.events.onEnd();
  bench.connects(1, '192.0.2.2');
  const young = bench.outside.tcp[1]!.open();
  old.drains();
  bench.sends(1, 'X');
  expect([young.text, bench.counters.strayPackets]).toEqual(['X', 0]);
  bench.client.close(1000, '');
  bench.clock.advance(60_000);
  expect(bench.outside.tcp.map(({ calls }) => calls.length > 0)).toEqual([true, true]);
  expect(bench.session.openStreams).toBe(0);
});

test('small answers to a client that takes none count for more than their bytes', () => {
  const bench = SessionBench.greeted([]);
  bench.client.other!.clog();
  let asked = 0;
  while (bench.counters.stuck === 0 && asked < 100_000) {
    bench.connects(++asked, '192.0.2.1', 0);
    if (asked % 1000 === 0) bench.clock.runSoon();
  }
  expect(bench.counters.stuck).toBe(1);
  expect(asked).toBeLessThanOrEqual((16 * SEND_HIGH) / 512 + 1000);
});

test('a byte that waits does not keep the message that it came in', () => {
  const bench = SessionBench.greeted([]);
  bench.connects(1, '192.0.2.1');
  const host = bench.outside.tcp[0]!;
  const message = new Uint8Array(65_536);
  const data = wisp.data(1, Uint8Array.of(7));
  message.set(data);
  bench.says(message.subarray(0, data.length));
  message.fill(0);
  host.open();
  expect(host.text).toBe('\x07');
});

test('so many streams a second, and no more', () => {
  const bench = SessionBench.greeted([]);
  for (let i = 0; i < 1500; i++) {
    bench.connects(1, '192.0.2.1');
    bench.says(wisp.close(1, wisp.CloseReason.Voluntary));
  }
  expect(bench.outside.tcp).toHaveLength(1024);
  expect(bench.counters.throttled).toBe(476);
  bench.clock.advance(1000);
  for (let i = 0; i < 300; i++) {
    bench.connects(1, '192.0.2.1');
    bench.says(wisp.close(1, wisp.CloseReason.Voluntary));
  }
  expect(bench.outside.tcp).toHaveLength(1024 + 256);
});

test('a judge that throws has not allowed it', () => {
  const bench = SessionBench.greeted([], {
    judge: () => {
      throw new Error('no list');
    },
  });
  bench.connects(1, '192.0.2.1');
  expect(bench.news()).toEqual(['CLOSE 1 48']);
  expect(bench.outside.tcp).toHaveLength(0);
});

test('a listener for refusals that throws is nobody’s', () => {
  const refusals = new Refusals(() => {
    throw new Error('no log');
  });
  refusals.count('not here');
  expect(refusals.counts()).toEqual({ 'not here': 1 });
});

test('a URL with a fragment is none of a WebSocket', () => {
  expect(() => relayUrl('ws://127.0.0.1/#x')).toThrow(SyntaxError);
});

test('who says nothing where a password is asked for takes nobody’s place', async () => {
  const credentials = { username: 'joe', password: 'sesame' };
  const relay = await openRelay({ credentials, clients: 1 });
  const silent: WebSocket[] = [];
  for (let i = 0; i < 80; i++) {
    const ws = new WebSocket(relay.url, wisp.SUBPROTOCOL);
    ws.on('error', () => {});
    silent.push(ws);
    await once(ws, 'open');
  }
  const honest = new WebSocket(relay.url, wisp.SUBPROTOCOL);
  const messages: Buffer[] = [];
  honest.on('message', (data) => messages.push(data as Buffer));
  await once(honest, 'open');
  honest.send(wisp.info([credentialsExtension(credentials)]));
  await vi.waitFor(() => expect(messages.map(describePacket)).toContain('CONTINUE 0 128'));
  // It is the one that there may be.
  const next = new WebSocket(relay.url, wisp.SUBPROTOCOL);
  const [error] = (await once(next, 'error')) as [Error];
  expect(error.message).toContain('503');
  for (const ws of [...silent, honest]) ws.terminate();
  await relay.close();
});

test('a DATA that says nothing costs the client of plain wisp a packet, and is granted again', () => {
  const bench = SessionBench.greeted([], { limits: { packets: 8 } });
  bench.connects(1, '192.0.2.1');
  bench.outside.tcp[0]!.open();
  bench.news();
  for (let i = 0; i < 4; i++) bench.sends(1, '');
  expect(bench.news()).toEqual(['CONTINUE 1 4']);
});
