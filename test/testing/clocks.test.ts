// Clocks of both kinds, and code under test that does not go on by promises alone.

import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { NodeClock } from '../../src/node/clock.ts';
import { createTestNetwork, type TestNetwork, type TestSocket } from '../../src/testing.ts';

function serveGreeting(world: TestNetwork<never> | TestNetwork): void {
  world.serve({ name: 'example.test', port: 25 }, async (socket) => {
    await socket.write('220 example.test ready\r\n');
    expect(await socket.readUntil('\r\n')).toBe('QUIT\r\n');
    await socket.write('221 bye\r\n');
    socket.end();
    await socket.readAll();
  });
}

test("on Node's clock the same test runs in real time", async () => {
  const world = createTestNetwork({ clock: new NodeClock() });
  serveGreeting(world as unknown as TestNetwork);
  // What a test waits for by itself comes by itself.
  await world.guest.boot();
  const socket = await world.guest.connectTcp('example.test', 25);
  expect(await socket.readUntil('\r\n')).toBe('220 example.test ready\r\n');
  await socket.write('QUIT\r\n');
  socket.end();
  expect(await world.until(socket.readText())).toBe('221 bye\r\n');
  const from = world.clock.now();
  await world.run(20);
  expect(world.clock.now() - from).toBeGreaterThanOrEqual(20);
  await expect(world.until(socket.closed, { limitMs: 30 })).rejects.toThrow('nothing for 30 ms');
  await world.close();
  expect(await socket.closed).toBe('down');
  expect(world.network.stats().arena.used).toBe(0);
});

/** A TestSocket for what wants a stream of Node's: ticks and events between each step. */
function duplexOf(socket: TestSocket): Duplex {
  const stream = new Duplex({
    read: () => {
      socket.readSome().then(
        (piece) => process.nextTick(() => stream.push(piece)),
        (error) => stream.destroy(error),
      );
    },
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(chunk).then(() => setImmediate(done), done);
    },
    final: (done) => {
      socket.end();
      done();
    },
  });
  return stream;
}

test('a client on streams and events sees no time pass but the network’s own', async () => {
  const world = createTestNetwork({ idle: () => new Promise((resolve) => void setImmediate(resolve)) });
  serveGreeting(world);
  const heard = await world.until(async () => {
    await world.guest.boot();
    const stream = duplexOf(await world.guest.connectTcp('example.test', 25));
    const lines = new EventEmitter();
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith('\r\n')) lines.emit('line');
    });
    lines.once('line', () => stream.end('QUIT\r\n'));
    await new Promise((resolve) => stream.once('end', resolve));
    return text;
  });
  expect(heard).toBe('220 example.test ready\r\n221 bye\r\n');
  expect(world.clock.now()).toBeLessThan(5_000);
  await world.close();
});

test('what cannot come is an error, not a hang: the network is closed', async () => {
  const world = createTestNetwork();
  await world.close();
  await expect(world.until(new Promise<void>(() => {}), { limitMs: 1000 })).rejects.toThrow('nothing');
  await expect(world.until(world.guest.boot())).rejects.toThrow('the guest is closed');
});

test('a frame that the host throws over, a seed that is none: the error says what', () => {
  expect(() => createTestNetwork({ seed: 1.5 })).toThrow('seed: 1.5 is not a whole number');
  expect(() => createTestNetwork({ config: { mtu: 9 } })).toThrow('mtu');
  expect(() => createTestNetwork({ faults: { loss: 2 } })).toThrow('loss');
});
