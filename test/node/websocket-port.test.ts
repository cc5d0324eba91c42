// Who is let in at a WebSocket port, and what those get who are not.

import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { openLinkPort } from '../../src/node/link-port.ts';
import { parseLinkSpec } from '../../src/node/link-spec.ts';
import { openWebSocketPort } from '../../src/node/websocket-port.ts';
import { type BenchOptions, statusOf, WebSocketBench } from '../support/websocket-bench.ts';

const TOKEN = 'a-token-of-a-test';
const GOOD = `/?token=${TOKEN}`;

const benches: WebSocketBench[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
});

async function open(spec: Parameters<typeof WebSocketBench.open>[0] = {}, options: BenchOptions = {}) {
  const bench = await WebSocketBench.open(spec, options);
  benches.push(bench);
  return bench;
}

describe('the token', () => {
  test('one of 128 random bits is made where none is said, and stands in the URL', async () => {
    const [one, other] = [await open(), await open()];
    expect(one.port.spec.token).toMatch(/^[\w-]{22}$/);
    expect(one.port.spec.token).not.toBe(other.port.spec.token);
    expect(one.port.url).toBe(`ws://127.0.0.1:${one.port.spec.port}/?token=${one.port.spec.token}`);
    expect(await one.status(`/?token=${other.port.spec.token}`)).toBe(403);
    expect(await one.status(`/?token=${one.port.spec.token}`)).toBe(101);
  });

  test.each([
    [GOOD, 101],
    [`/${TOKEN}`, 101],
    [`/${TOKEN}/`, 101],
    [`/${TOKEN}?other=1`, 101],
    [`/?other=1&token=${TOKEN}`, 101],
    ['/', 403],
    ['/?token=', 403],
    [`/?token=${TOKEN.slice(0, -1)}`, 403],
    [`/?token=${TOKEN}x`, 403],
    [`/?token=${TOKEN.toUpperCase()}`, 403],
    [`/?token=${'x'.repeat(TOKEN.length)}`, 403],
    [`/?token=wrong&token=${TOKEN}`, 403],
    [`/?TOKEN=${TOKEN}`, 403],
    ['/?token=%ff%00', 403],
    [`//${TOKEN}`, 403],
    [`/${TOKEN}/x`, 403],
  ])('%s: %i', async (path, status) => {
    const bench = await open({ token: TOKEN });
    expect(await bench.status(path)).toBe(status);
    expect(Object.values(bench.port.refused)).toEqual(status === 101 ? [] : [1]);
  });

  test('token=none: none is needed, and none is in the URL', async () => {
    const bench = await open({ token: null });
    expect(bench.port.url).toBe(`ws://127.0.0.1:${bench.port.spec.port}/`);
    expect(await bench.status('/')).toBe(101);
  });
});

describe('Origin', () => {
  const origins = ['https://emulator.example', 'http://localhost:8000'];
  test.each([
    ['a page on the list, with the token', origins, TOKEN, GOOD, 'https://emulator.example', 101],
    ['one on the list, without', origins, TOKEN, '/', 'https://emulator.example', 403],
    ['another port', origins, TOKEN, GOOD, 'http://localhost:8001', 403],
    ['another scheme', origins, TOKEN, GOOD, 'http://emulator.example', 403],
    ['a name that begins like it', origins, TOKEN, GOOD, 'https://emulator.example.evil.example', 403],
    ['a page without an origin of its own', origins, TOKEN, GOOD, 'null', 403],
    ['no page, with the token', origins, TOKEN, GOOD, '', 101],
    ['no page, without', origins, TOKEN, '/', '', 403],
    ['any page, with the token', ['*'], TOKEN, GOOD, 'https://evil.example', 101],
    ['any page, without', ['*'], TOKEN, '/', 'https://evil.example', 403],
    ['no list: a page of this computer', undefined, TOKEN, GOOD, 'http://localhost:5173', 101],
    ['no list: a page of this computer by IPv6', undefined, TOKEN, GOOD, 'http://[::1]:5173', 101],
    ['no list: the same without the token', undefined, TOKEN, '/', 'http://localhost:5173', 403],
    ['no list: a page from elsewhere', undefined, TOKEN, GOOD, 'https://emulator.example', 403],
    [
      'no list: a name that begins like localhost',
      undefined,
      TOKEN,
      GOOD,
      'http://localhost.evil.example',
      403,
    ],
    ['no token, no list: no page at all', undefined, null, '/', 'http://localhost:5173', 403],
    ['no token, no list: what is no page', undefined, null, '/', '', 101],
    ['no token, a list', origins, null, '/', 'http://localhost:8000', 101],
    ['no token, not on the list', origins, null, '/', 'http://localhost:8001', 403],
  ] as const)('%s', async (_, list, token, path, origin, status) => {
    const bench = await open({ token, ...(list === undefined ? {} : { origins: list }) });
    expect(await bench.status(path, { Origin: origin })).toBe(status);
    if (status === 101) expect(bench.clients.map((c) => c.origin)).toEqual([origin === '' ? null : origin]);
    else expect(Object.values(bench.port.refused)).toEqual([1]);
  });
});

describe('Host', () => {
  test.each([
    ['127.0.0.1:8086', 101],
    ['localhost:8086', 101],
    ['[::1]:8086', 101],
    ['192.0.2.1', 101],
    ['relay.example', 101],
    ['Relay.Example:443', 101],
    ['evil.example', 403],
    ['127.0.0.1.evil.example:8086', 403],
    ['localhost.evil.example', 403],
    ['relay.example.evil.example', 403],
    ['127.0.0.1@evil.example', 403],
  ])('a page whose name was rebound to this computer says its own: %s: %i', async (host, status) => {
    const bench = await open({ token: TOKEN, hosts: ['relay.example'] });
    expect(await bench.status(GOOD, { Host: host })).toBe(status);
  });

  test('two of them, or none, are no request', async () => {
    const bench = await open({ token: TOKEN });
    const { port } = bench.port.spec;
    const lines = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    for (const hosts of [['Host: localhost', 'Host: evil.example'], []]) {
      const socket = connect(port, '127.0.0.1');
      const text = [`GET ${GOOD} HTTP/1.1`, ...hosts, ...lines, key, '', ''].join('\r\n');
      socket.write(text);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
      socket.destroy();
    }
    expect(bench.links).toEqual([]);
  });
});

describe('what is no WebSocket', () => {
  test('an ordinary request is told what this is for, and closed', async () => {
    const bench = await open({ token: TOKEN });
    const asked = request({ host: '127.0.0.1', port: bench.port.spec.port, path: GOOD, agent: false }).end();
    const [answer] = await once(asked, 'response');
    expect([answer.statusCode, answer.headers.connection]).toEqual([426, 'close']);
    answer.resume();
    expect(bench.port.refused).toEqual({ 'this is for WebSockets only': 1 });
  });

  test.each<[string, Record<string, string>]>([
    ['no key', { 'Sec-WebSocket-Key': '' }],
    ['a key that is none', { 'Sec-WebSocket-Key': 'short' }],
    ['another version', { 'Sec-WebSocket-Version': '99' }],
    ['another protocol', { Upgrade: 'h2c' }],
    ['subprotocols that make no sense', { 'Sec-WebSocket-Protocol': 'a,,b' }],
  ])('a handshake with %s: 400, counted', async (_, headers) => {
    const bench = await open({ token: TOKEN });
    expect(await bench.status(GOOD, headers)).toBe(400);
    expect(Object.entries(bench.port.refused)).toEqual([[expect.stringMatching(/^no handshake: /), 1]]);
    expect(bench.links).toEqual([]);
  });

  test('bytes that are no HTTP', async () => {
    const bench = await open();
    const socket = connect(bench.port.spec.port, '127.0.0.1');
    socket.write(Buffer.from([0, 0, 0, 60, 1, 2, 3, 4]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    await once(socket, 'close');
    expect(bench.port.refused).toEqual({ 'what came is not HTTP': 1 });
  });

  test('a connection that says nothing, or less than a request, has so long and no longer', async () => {
    const bench = await open({ token: TOKEN }, { handshakeMs: 50 });
    const silent = connect(bench.port.spec.port, '127.0.0.1');
    const slow = connect(bench.port.spec.port, '127.0.0.1');
    slow.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-More: ');
    for (const socket of [silent, slow]) socket.on('error', () => {}).resume();
    await Promise.all([once(silent, 'close'), once(slow, 'close')]);
    expect(bench.port.refused).toEqual({ 'the handshake took too long': 2 });
    // Whoever has become a guest meanwhile has all the time there is.
    expect(await bench.status(GOOD)).toBe(101);
  });
});

describe('limits', () => {
  test('a guest beyond the limit gets 503, and may come when another one has left', async () => {
    const bench = await open({ token: TOKEN, clients: 2 });
    const first = await bench.guest();
    await bench.guest();
    expect(await bench.status(GOOD)).toBe(503);
    expect(bench.port.refused).toEqual({ '2 guests are there, and it takes no more': 1 });
    await first.link.close();
    await bench.guest();
    expect(bench.links).toHaveLength(3);
  });

  test('connections that are no guests yet are limited, too', async () => {
    const bench = await open({ token: TOKEN, clients: 1 });
    const sockets = Array.from({ length: 66 }, () => connect(bench.port.spec.port, '127.0.0.1'));
    await Promise.race(sockets.map((socket) => once(socket.on('error', () => {}).resume(), 'close')));
    expect(bench.port.refused).toEqual({ 'too many connections': 1 });
    for (const socket of sockets) socket.destroy();
  });

  test('nothing is compressed, whatever is offered', async () => {
    const bench = await open({ token: TOKEN });
    const { client } = await bench.guest();
    expect(client.ws.extensions).toBe('');
    const offers = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
    expect(await bench.status(GOOD, offers)).toBe(101);
  });

  test('who is turned away is told of once a minute for each reason, and never with a token', async () => {
    const bench = await open({ token: TOKEN });
    const { port } = bench.port.spec;
    for (let i = 0; i < 5; i++)
      await bench.status('/?token=guess-of-a-token', { Origin: 'http://localhost:1' });
    for (let i = 0; i < 3; i++)
      await bench.status(GOOD, { Origin: `https://e\u009b.example/${'x'.repeat(300)}` });
    expect(bench.lines).toHaveLength(2);
    expect(bench.lines[0]).toBe(
      `ws:127.0.0.1:${port}: a connection was turned away: the token is missing or wrong ` +
        `(Origin http://localhost:1, Host 127.0.0.1:${port})`,
    );
    expect(bench.lines[1]).toContain('pages of this Origin may not connect (Origin https://e?.example/xxx');
    expect(bench.lines[1]!.length).toBeLessThan(250);
    expect(Object.values(bench.port.refused)).toEqual([5, 3]);
  });
});

describe('the port', () => {
  test('binds 127.0.0.1 alone', async () => {
    const bench = await open(parseLinkSpec('ws:0'));
    const { port } = bench.port.spec;
    await expect(statusOf({ host: '127.0.0.2', port, path: '/' })).rejects.toThrow('ECONNREFUSED');
  });

  test('a place that is taken is one line', async () => {
    const bench = await open();
    const { port } = bench.port.spec;
    const again = openWebSocketPort({ kind: 'ws', host: '127.0.0.1', port }, () => {});
    await expect(again).rejects.toThrow(new RegExp(`^ws:127\\.0\\.0\\.1:${port}: .*EADDRINUSE`));
  });

  test('an option that is wrong is named', async () => {
    const spec = { kind: 'ws', host: '127.0.0.1', port: 0 } as const;
    await expect(openWebSocketPort({ ...spec, token: 'short' }, () => {})).rejects.toThrow(
      'token= is not 16 to',
    );
    await expect(openWebSocketPort({ ...spec, faults: { loss: 2 } }, () => {})).rejects.toThrow('loss');
  });

  test('closed, it takes nobody, and those that are there stay', async () => {
    const bench = await open({ token: TOKEN });
    const { client, link } = await bench.guest();
    const waiting = connect(bench.port.spec.port, '127.0.0.1')
      .on('error', () => {})
      .resume();
    await once(waiting, 'connect');
    await bench.port.close();
    await once(waiting, 'close');
    await expect(bench.status(GOOD)).rejects.toThrow('ECONNREFUSED');
    client.ws.send('ping:1');
    await client.until(() => client.texts.length === 1);
    expect(link.texts.answered).toBe(1);
  });

  test('whoever takes the link throws: the client is turned away, the next one is not', async () => {
    let calls = 0;
    const port = await openLinkPort({ kind: 'ws', host: '127.0.0.1', port: 0, token: TOKEN }, (link) => {
      calls++;
      if (calls === 1) throw new Error('takes frames of 1518 bytes');
      void link.close();
    });
    if (port.spec.kind !== 'ws') throw new Error('another port');
    const bench = new WebSocketBench();
    for (let i = 1; i <= 2; i++) {
      const client = bench.connect(`ws://127.0.0.1:${port.spec.port}${GOOD}`);
      await client.until(() => client.closed !== null);
      expect(calls).toBe(i);
    }
    await port.close();
  });
});
