// What a program at the other end of a host's connection would have been told, the guest is told, and the other way round.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { HostStream } from '../../src/host/host-network.ts';
import { bench, closeAll, rounds, serve } from '../support/host-bench.ts';
import { at, readAll, StreamRecord } from '../support/host-sink.ts';

afterEach(closeAll);

describe('TCP through Node: how a connection ends', () => {
  test('RST right behind data, 100 times: data, then reset; never an end in order', async () => {
    const { dial, block } = bench();
    const to = await serve((socket) => {
      socket.on('data', () => socket.write('last words', () => socket.resetAndDestroy()));
    });
    const letter = block(4096);
    for (let i = 0; i < 100; i++) {
      const record = dial(to);
      await record.until(() => record.events.includes('open'));
      record.stream!.resume();
      record.stream!.write(letter, 1);
      await record.until(() => record.closed !== 'open');
      expect(record.text).toBe('last words');
      expect(record.story).toEqual(['open', 'close reset']);
    }
  });

  test('FIN right behind data, 100 times: data, then end', async () => {
    const { dial } = bench();
    const to = await serve((socket) => socket.end('last words'));
    for (let i = 0; i < 100; i++) {
      const record = dial(to);
      record.stream!.resume();
      await record.until(() => record.events.includes('end'));
      expect(record.text).toBe('last words');
      record.stream!.end();
      await record.until(() => record.closed !== 'open');
      expect(record.story.at(-1)).toBe('close null');
    }
  });

  test('RST behind data, when our FIN was out, 100 times: data, then reset', async () => {
    const { dial } = bench();
    const to = await serve((socket) => {
      socket.on('end', () => socket.write('last words', () => socket.resetAndDestroy())).resume();
    });
    for (let i = 0; i < 100; i++) {
      const record = dial(to);
      await record.until(() => record.events.includes('open'));
      record.stream!.resume();
      record.stream!.end();
      await record.until(() => record.closed !== 'open');
      expect(record.text).toBe('last words');
      expect(record.story).toEqual(['open', 'close reset']);
    }
  });

  test('data and FIN, then RST for what was not read, 100 times: data, then end', async () => {
    const { dial, block } = bench();
    const letter = block(4096);
    const to = await serve((socket) => socket.end('last words', () => socket.resetAndDestroy()), {
      pauseOnConnect: true,
    });
    for (let i = 0; i < 100; i++) {
      const record = dial(to);
      await record.until(() => record.events.includes('open'));
      record.stream!.write(letter, 4096);
      await new Promise((resolve) => setImmediate(resolve));
      record.stream!.resume();
      await record.until(() => record.events.includes('end'));
      expect(record.text).toBe('last words');
      record.stream!.end();
      await record.until(() => record.closed !== 'open');
    }
  });

  test('reset() after end(): the remote still gets all that the kernel has taken, and the end', async () => {
    const { dial, block } = bench();
    const to = await serve(() => {}, { pauseOnConnect: true });
    const record = dial(to);
    await record.until(() => record.events.includes('open'));
    // More than the remote's socket has room for: the rest waits in our kernel.
    const said = 512 * 1024;
    expect(record.stream!.write(block(said), said)).toBe(true);
    record.stream!.end();
    record.stream!.reset();
    await record.until(() => record.closed !== 'open');
    expect(record.story).toEqual(['open', 'close null']);
    const socket = await to.first;
    const heard = readAll(socket);
    socket.resume();
    expect(await heard).toHaveLength(said);
  });
});

/** A socket of ours and the one it leads to. */
type Ports = readonly [own: number, remote: number];

/** When the kernel will ask the remote whether it is there, in s; /proc/net/tcp of Linux, whose ticks are of 10 ms. */
async function askedIn(ports: Ports): Promise<number> {
  const [own, remote] = ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`);
  for (;;) {
    const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n');
    const all = lines.map((line) => line.trim().split(/\s+/));
    const fields = all.find(([, local, rem]) => local?.endsWith(own!) && rem?.endsWith(remote!));
    const [timer, ticks] = fields?.[5]?.split(':') ?? [];
    // Else something is under way, which has a timer of its own.
    if (timer === '02') return Number.parseInt(ticks!, 16) / 100;
    await rounds(1);
  }
}

describe.runIf(process.platform === 'linux')('a remote that falls silent', () => {
  async function isAsked(stream: HostStream, ports: Ports): Promise<void> {
    expect(Math.round((await askedIn(ports)) / 10)).toBe(720);
    stream.end();
    while ((await askedIn(ports)) > 1000) await rounds(1);
    expect(Math.round(await askedIn(ports))).toBe(75);
  }

  test('is asked whether it is there, after two hours, after 75 s when the guest has closed', async () => {
    const { dial } = bench();
    let port = 0;
    const to = await serve((socket) => {
      port = socket.remotePort!;
    });
    const record = dial(to);
    await record.until(() => record.events.includes('open'));
    while (port === 0) await rounds(1);
    await isAsked(record.stream!, [port, to.port]);
  });

  test.each([true, false])('also as the client of a forward; reading in place: %s', async (takeOver) => {
    const { host, context } = bench({ takeOver });
    const record = new StreamRecord(context);
    const listener = await host.listenTcp(at('127.0.0.1', 0), (stream) => {
      record.stream = stream;
      return record;
    });
    const client = connect({ port: listener.at.port, host: '127.0.0.1', allowHalfOpen: true });
    await once(client, 'connect');
    while (record.stream === null) await rounds(1);
    await isAsked(record.stream, [listener.at.port, client.localPort!]);
    client.destroy();
    record.stream.resume();
    await record.until(() => record.closed !== 'open');
    listener.close();
  });
});
