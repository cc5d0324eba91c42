// The promises of TestSocket, TestListener and TestUdpSocket, one by one.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTestNetwork, type TestNetwork, type TestSocket } from '../../src/testing.ts';

let world: TestNetwork;
let server: TestSocket;
let client: TestSocket;

/** Both ends of a connection: the guest's and the one of the world outside. */
beforeEach(async () => {
  world = createTestNetwork();
  const accepted = new Promise<TestSocket>((resolve) => {
    world.serve({ name: 'example.test', port: 80 }, (socket) => resolve(socket));
  });
  await world.until(world.guest.boot());
  client = await world.until(world.guest.connectTcp('example.test', 80));
  server = await world.until(accepted);
});

afterEach(() => world.close());

describe('reading', () => {
  test.each(['guest', 'outside'])(
    'exact lengths, marks and the rest, whatever the pieces (%s)',
    async (end) => {
      const [from, to] = end === 'guest' ? [server, client] : [client, server];
      for (const piece of ['ab', 'cde\r', '\nfgh', 'ijk']) {
        await from.write(piece);
        await world.run(10);
      }
      from.end();
      expect(new TextDecoder().decode(await world.until(to.read(3)))).toBe('abc');
      expect(await world.until(to.readUntil('\r\n'))).toBe('de\r\n');
      expect(await world.until(to.read(0))).toHaveLength(0);
      expect(await world.until(to.readText())).toBe('fghijk');
      expect(await world.until(to.readSome())).toBeNull();
    },
  );

  test('an end that comes too early is an error that says how much was there', async () => {
    await server.write('abc');
    server.end();
    await expect(world.until(client.read(5))).rejects.toThrow('has ended after 3 of 5 bytes');
    await expect(world.until(client.readUntil('z'))).rejects.toThrow('has ended before "z"');
    // What had come is still there.
    expect(await world.until(client.readText())).toBe('abc');
  });

  test('one read at a time; a limit on what is kept', async () => {
    const first = client.read(1);
    await expect(client.read(1)).rejects.toThrow('one read at a time');
    await server.write('x'.repeat(2000));
    await world.until(first);
    await expect(world.until(client.readUntil('y', 1000))).rejects.toThrow('has read more than 1000 bytes');
    await expect(world.until(client.readAll(1000))).rejects.toThrow('has read more than 1000 bytes');
  });
});

describe('writing', () => {
  test('end() comes behind everything that was written, waited for or not', async () => {
    const all = 'z'.repeat(3 << 20);
    void client.write(all);
    void client.write('!');
    client.end();
    client.end();
    await expect(client.write('?')).rejects.toThrow('writes after end()');
    expect((await world.until(server.readText())).length).toBe(all.length + 1);
  });

  test('bytes are copied: who changes them afterwards changes nothing', async () => {
    const bytes = new Uint8Array(2 << 20).fill(1);
    const written = client.write(bytes);
    bytes.fill(2);
    const heard = await world.until(server.read(bytes.length));
    await world.until(written);
    expect(heard.every((byte) => byte === 1)).toBe(true);
  });

  test('what waits when the other side resets is told so', async () => {
    const writing = client.write(new Uint8Array(4 << 20));
    server.reset();
    await expect(world.until(writing)).rejects.toMatchObject({ reason: 'reset' });
    expect(client.isBroken).toBe(true);
    client.reset();
    expect(await client.closed).toBe('reset');
  });
});

describe('listening', () => {
  test('connections wait for accept(), and too many are reset', async () => {
    const other = world.plug();
    await world.until(other.boot());
    const listener = world.guest.listenTcp(22);
    expect(() => world.guest.listenTcp(22)).toThrow('tcp port 22 is in use');
    const sockets = await world.until(
      Promise.all(Array.from({ length: 129 }, () => other.connectTcp(world.guest.address, 22))),
    );
    const ends = sockets.map((socket) => socket.isBroken);
    await world.run(10);
    expect(sockets.filter((socket) => socket.isBroken)).toHaveLength(1);
    expect(ends).toHaveLength(129);
    const first = await world.until(listener.accept());
    expect(first.peer).toBe(sockets[0]?.own);
    const accepted: string[] = [];
    for await (const socket of listener) {
      accepted.push(socket.peer);
      if (accepted.length === 10) listener.close();
    }
    expect(accepted).toEqual(sockets.slice(1, 11).map((socket) => socket.own));
    await expect(listener.accept()).rejects.toThrow('guest0 port 22 is closed');
    await world.run(10);
    expect(sockets.filter((socket) => socket.isBroken)).toHaveLength(129 - 11);
  });

  test('a handler gets connections, accept() does not; one accept at a time', async () => {
    const handled = world.guest.listenTcp(1, () => {});
    await expect(handled.accept()).rejects.toThrow('its handler gets the connections');
    const listener = world.guest.listenTcp(2);
    const accepting = listener.accept();
    await expect(listener.accept()).rejects.toThrow('one accept at a time');
    listener.close();
    listener.close();
    await expect(accepting).rejects.toThrow('is closed');
    // The port is free again.
    world.guest.listenTcp(2).close();
  });
});

describe('datagrams', () => {
  test('they wait to be received, as many as an operating system would keep', async () => {
    const { guest, host } = world;
    host.serveUdp({ name: 'many.test', port: 7 }, ({ data, reply }) => {
      for (let i = 0; i < 1500; i++) reply(Uint8Array.of(i >> 8, i, ...data));
    });
    const socket = guest.udp(4000);
    expect(() => guest.udp(4000)).toThrow('udp port 4000 is in use');
    await world.until(socket.send('many.test', 7, 'x'));
    await world.run(100);
    const { data } = await world.until(socket.receive());
    expect([...data]).toEqual([0, 0, 120]);
    expect(socket.lost).toBeGreaterThan(400);
    const receiving = guest.udp().receive();
    receiving.catch(() => {});
    socket.close();
    socket.close();
    await expect(socket.receive()).rejects.toThrow('udp port 4000 is closed');
    await expect(socket.send('many.test', 7, 'x')).rejects.toThrow('udp port 4000 is closed');
  });

  test('nobody can be sent to without a port, a name or a name service', async () => {
    const { guest } = world;
    await expect(guest.connectTcp('example.test', 0)).rejects.toThrow('port: 0 is not 1 to 65535');
    await expect(world.until(guest.udp().send('nowhere.test', 9, ''))).rejects.toThrow('NXDOMAIN');
    const other = world.plug();
    await expect(other.resolve('example.test')).rejects.toThrow('guest1 has no name service');
    await expect(other.connectTcp('192.0.2.10', 80)).rejects.toThrow('the guest has no address');
  });
});
