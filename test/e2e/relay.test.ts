// A whole engine whose host is our relay, over a real WebSocket on loopback; the same with an independent implementation of
// the protocol at either end.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { client as wispClient } from '@mercuryworkshop/wisp-js/client';
import { logging, server as wispServer } from '@mercuryworkshop/wisp-js/server';
import { afterEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { openRelay, type Relay } from '../../src/node/relay-server.ts';
import { dialWebSocket } from '../../src/web/websocket-transport.ts';
import { SocketRecord, to } from '../support/guest-bench.ts';
import { closedPort, digest, pattern, RelayNet, serve, serveUdp } from '../support/relay-net.ts';
import { Lab } from './support/processes.ts';
import { describeWithProgram, program } from './support/requirements.ts';

const LENGTH = 8 << 20;
const done: (() => unknown)[] = [];

afterEach(async () => {
  for (const each of done.splice(0).reverse()) await each();
  vi.unstubAllGlobals();
});

async function relay(options: Parameters<typeof openRelay>[0] = {}): Promise<Relay> {
  const opened = await openRelay({ judge: () => true, udp: true, ...options });
  done.push(() => opened.close());
  return opened;
}

async function engine(
  url: string,
  options: ConstructorParameters<typeof RelayNet>[1] = {},
): Promise<RelayNet> {
  const net = new RelayNet(url, { reconnectMs: 50, ...options });
  done.push(() => net.close());
  await net.guest.boot();
  await vi.waitFor(() => expect(net.host.stats().state).toBe('ready'));
  return net;
}

async function server(onSocket: Parameters<typeof serve>[0]): Promise<number> {
  const { port, server } = await serve(onSocket);
  done.push(() => server.close());
  return port;
}

/** Gives `LENGTH` bytes, reads what comes, and says what it was. */
async function transfers(net: RelayNet): Promise<void> {
  const down = pattern(LENGTH, 1);
  const up = pattern(LENGTH, 2);
  const port = await server((socket) => socket.end(down));
  const got: Buffer[] = [];
  const sink = await server((socket) =>
    socket.on('data', (chunk) => got.push(chunk)).on('end', () => socket.end('thanks')),
  );
  const reader = new SocketRecord();
  net.connect(port, reader);
  await vi.waitFor(() => expect(reader.events).toContain('end'), 60_000);
  expect(digest(reader.bytes)).toBe(digest(down));
  const writer = new SocketRecord();
  net.connect(sink, writer);
  writer.write(up);
  await vi.waitFor(() => expect(writer.isAllWritten).toBe(true), 60_000);
  writer.socket!.end();
  await vi.waitFor(() => expect(Buffer.concat(got).length).toBe(LENGTH), 60_000);
  expect(digest(Buffer.concat(got))).toBe(digest(up));
}

test('through our relay: 8 MiB each way, FIN by direction, a refused port, UDP, and nothing is left', async () => {
  const open = await relay();
  const net = await engine(open.url);
  expect(net.host.stats().version).toBe(2);
  await transfers(net);

  // The answer comes behind the guest's FIN.
  const late = await server((socket) => socket.on('data', () => {}).on('end', () => socket.end('answer')));
  const asker = new SocketRecord();
  net.connect(late, asker);
  asker.write('question');
  await vi.waitFor(() => expect(asker.isAllWritten).toBe(true));
  asker.socket!.end();
  await vi.waitFor(() => expect(asker.events).toContain('end'));
  expect(asker.text).toBe('answer');

  const refused = new SocketRecord();
  net.connect(await closedPort(), refused);
  await vi.waitFor(() => expect(refused.events).toEqual(['refused']));

  const echo = await serveUdp((data) => data);
  done.push(() => echo.socket.close());
  const got: string[] = [];
  const udp = net.guest.openUdp({ onDatagram: (data) => got.push(Buffer.from(data).toString('latin1')) });
  udp.send(to('10.0.2.2', echo.port), Buffer.from('ping'));
  await vi.waitFor(() => expect(got).toEqual(['ping']));
  const unreachable: number[] = [];
  const lost = net.guest.openUdp({ onUnreachable: (code) => unreachable.push(code) });
  lost.send(to('10.0.2.2', await closedPort()), Buffer.from('ping'));
  await vi.waitFor(() => expect(unreachable).toEqual([3]));

  await net.close();
  await vi.waitFor(() => expect(open.stats()).toMatchObject({ openClients: 0, openStreams: 0 }));
  const { arena, timers } = net.network.stats();
  expect([arena.used, timers]).toEqual([0, 0]);
});

test('a guest that does not read holds its host back, and nobody else', async () => {
  const open = await relay();
  const net = await engine(open.url);
  const body = pattern(64 << 20, 3);
  const port = await server((socket) => socket.end(body));
  const idle = new SocketRecord();
  idle.reads = false;
  net.connect(port, idle);
  await vi.waitFor(() => expect(open.stats().bytesToClient).toBeGreaterThan(1 << 20));
  await transfers(net);
  const { arrivedBytes, overflows } = net.host.stats();
  // 64 packets of 64 KiB.
  expect(arrivedBytes).toBeLessThanOrEqual(4 << 20);
  expect(overflows).toBe(0);
});

test('the policy of the default: what is not public is prohibited', async () => {
  const open = await openRelay();
  done.push(() => open.close());
  const net = await engine(open.url);
  const blocked = new SocketRecord();
  net.connect(await server((socket) => socket.end('secret')), blocked);
  await vi.waitFor(() => expect(blocked.events).toEqual(['unreachable']));
  expect(open.stats().blocked).toBe(1);
});

test('a password: right, and wrong for good', async () => {
  const open = await relay({ credentials: { username: 'joe', password: 'sesame' } });
  await engine(open.url, { credentials: { username: 'joe', password: 'sesame' } });
  const wrong = new RelayNet(open.url, { credentials: { username: 'joe', password: 'open' } });
  done.push(() => wrong.close());
  await vi.waitFor(() => expect(wrong.host.stats().state).toBe('refused'));
  expect(open.stats().badCredentials).toBe(1);
});

test('the token, Origin and Host are asked for', async () => {
  const open = await relay({ origins: ['https://good.example'] });
  const statusOf = async (url: string, headers: Record<string, string> = {}): Promise<number> => {
    const ws = new WebSocket(url, 'wisp-v2', { headers });
    done.push(() => ws.terminate());
    return new Promise((resolve) => {
      ws.on('error', () => {});
      ws.on('open', () => resolve(101));
      ws.on('unexpected-response', (_, { statusCode }) => resolve(statusCode ?? 0));
    });
  };
  expect(await statusOf(open.url)).toBe(101);
  expect(await statusOf(open.url, { Origin: 'https://good.example' })).toBe(101);
  expect(await statusOf(open.url, { Origin: 'https://evil.example' })).toBe(403);
  expect(await statusOf(open.url, { Host: 'rebound.example' })).toBe(403);
  expect(await statusOf(`ws://127.0.0.1:${open.port}/`)).toBe(403);
  expect(open.stats().refused).toEqual({
    'pages of this Origin may not connect': 1,
    'this Host is not served here': 1,
    'the token is missing or wrong': 1,
  });
});

test('the relay goes and comes back: streams are reset, and new ones work', async () => {
  const first = await relay({ token: null });
  const net = await engine(first.url);
  const user = new SocketRecord();
  const port = await server((socket) => socket.write('hello'));
  net.connect(port, user);
  await vi.waitFor(() => expect(user.text).toBe('hello'));
  await first.close();
  await vi.waitFor(() => expect(user.events).toContain('reset'));
  await relay({ token: null, port: first.port });
  await vi.waitFor(() => expect(net.host.stats().state).toBe('ready'), 10_000);
  const again = new SocketRecord();
  net.connect(port, again);
  await vi.waitFor(() => expect(again.text).toBe('hello'));
});

test("a browser's WebSocket", async () => {
  vi.stubGlobal('WebSocket', WebSocket);
  const open = await relay();
  const net = await engine(open.url, { dial: dialWebSocket(open.url) });
  await transfers(net);
});

test('their server, our client: version 2 and version 1', async () => {
  logging.set_level(logging.NONE);
  Object.assign(wispServer.options, { allow_loopback_ips: true, allow_private_ips: true });
  const http: Server = createServer();
  http.on('upgrade', (request, socket, head) => wispServer.routeRequest(request, socket, head));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  done.push(() => http.close());
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`;
  for (const version of [2, 1] as const) {
    const net = await engine(url, { version });
    expect(net.host.stats().version).toBe(version);
    await transfers(net);
    const refused = new SocketRecord();
    net.connect(await closedPort(), refused);
    await vi.waitFor(() => expect(refused.events).toEqual(['refused']));
    await net.close();
  }
});

test('their client, our server: version 2 and version 1', async () => {
  const open = await relay();
  const echo = await server((socket) => socket.pipe(socket));
  const body = pattern(1 << 20, 5);
  for (const wisp_version of [2, 1]) {
    const connection = new wispClient.ClientConnection(open.url, { wisp_version });
    await new Promise<void>((resolve) => {
      connection.onopen = resolve;
    });
    done.push(() => connection.close());
    const stream = connection.create_stream('127.0.0.1', echo);
    const got: Uint8Array[] = [];
    stream.onmessage = (data: Uint8Array) => got.push(data);
    for (let at = 0; at < body.length; at += 4096) stream.send(new Uint8Array(body.subarray(at, at + 4096)));
    await vi.waitFor(() => expect(Buffer.concat(got).length).toBe(body.length), 20_000);
    expect(digest(Buffer.concat(got))).toBe(digest(body));
    const nowhere = connection.create_stream('127.0.0.1', await closedPort());
    const reason = await new Promise((resolve) => {
      nowhere.onclose = resolve;
    });
    expect(reason).toBe(0x44);
  }
  expect(open.stats().version2).toBe(1);
});

describeWithProgram('usernet relay', () => {
  test('an engine through it, as the command line says; statistics at the end', async () => {
    const lab = new Lab('relay');
    done.push(() => lab.close());
    const credentials = lab.path('credentials');
    writeFileSync(credentials, 'joe:open:sesame\n');
    lab.giveAway(credentials, 0o600);
    const options = ['--credentials', credentials, '--host-loopback', '--udp', '--stats', 'json'];
    const argv = [process.execPath, lab.copy(program), 'relay', ...options];
    const run = lab.spawn('usernet relay', argv);
    await run.output(/ready$/m, 10_000);
    const url = /ws:\S+/.exec(run.stderr)![0];
    const net = await engine(url, { credentials: { username: 'joe', password: 'open:sesame' } });
    await transfers(net);
    await net.close();
    const { code } = await run.stop('SIGTERM', 10_000);
    expect(code).toBe(0);
    const stats = JSON.parse(run.stdout);
    expect(stats).toMatchObject({ clients: 1, version2: 1, streams: 2, openStreams: 0, bytesToHost: LENGTH });
    // The file, and as much of the other server's thanks as came before the end.
    expect(stats.bytesToClient).toBeGreaterThanOrEqual(LENGTH);
  });
});
