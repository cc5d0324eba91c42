// usernet/testing as its users see it: a network, a world outside and a clock in one process.

import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import {
  ConnectionError,
  createTestNetwork,
  type FrameRecorder,
  type TestNetwork,
  type TestNetworkOptions,
} from '../../src/testing.ts';

let world: TestNetwork;

function create(options: TestNetworkOptions = {}): TestNetwork {
  world = createTestNetwork(options);
  return world;
}

/** Every test ends with nothing left behind. */
afterEach(async () => {
  await world.close();
  const { flows, timers, arena } = world.network.stats();
  expect({ ...flows, timers, arena: arena.used }).toMatchObject({ tcp: 0, udp: 0, timers: 0, arena: 0 });
  expect(world.host.openStreams).toBe(0);
});

/** A guest with a lease, and a server that says back what it hears, in capitals. */
async function withServer(options: TestNetworkOptions = {}): Promise<TestNetwork> {
  create(options);
  world.serve({ name: 'example.test', port: 80 }, async (socket) => {
    for await (const piece of socket) await socket.write(new TextDecoder().decode(piece).toUpperCase());
    socket.end();
  });
  await world.until(world.guest.boot());
  return world;
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13) & 255);
}

describe('DHCP and ARP', () => {
  test('the guest gets its lease, and what belongs to it', async () => {
    const lines: string[] = [];
    const { guest } = create({ trace: (line) => lines.push(line), guest: { hostname: 'vm' } });
    expect(guest.address).toBe('');
    const lease = await world.until(guest.boot());
    expect(guest.address).toBe('10.0.2.15');
    expect(lease).toMatchObject({ text: '10.0.2.15', mtu: 1500 });
    expect(lines.some((line) => /guest0 > .*DHCP/i.test(line))).toBe(true);
    expect(lines.some((line) => /guest0 > .*who-has 10\.0\.2\.15/.test(line))).toBe(true);
  });

  test('without a DHCP server boot() says so, after a minute of which nothing is felt', async () => {
    const { guest } = create({ config: { dhcp: false } });
    const since = performance.now();
    await expect(world.until(guest.boot())).rejects.toThrow('no DHCP server has answered');
    expect(world.clock.now()).toBeGreaterThan(50_000);
    expect(performance.now() - since).toBeLessThan(5_000);
  });
});

describe('TCP', () => {
  test('a guest finds a server by its name and talks to it, to both ends', async () => {
    const { guest } = await withServer();
    const socket = await world.until(guest.connectTcp('example.test', 80));
    expect(socket.peer).toBe('192.0.2.10:80');
    await world.until(socket.write('hello, '));
    expect(await world.until(socket.read(7))).toEqual(new TextEncoder().encode('HELLO, '));
    await world.until(socket.write('world ü'));
    socket.end();
    expect(await world.until(socket.readText())).toBe('WORLD Ü');
    expect(await world.until(socket.closed)).toBe('normal');
  });

  test('a mebibyte each way at once, by iteration', async () => {
    const { guest } = create();
    const sent = pattern(1 << 20);
    world.serve({ name: 'example.test', port: 80 }, async (socket) => {
      void socket.write(sent);
      expect(Buffer.from(await socket.readAll()).equals(sent)).toBe(true);
      socket.end();
    });
    const got = await world.until(async () => {
      await guest.boot();
      const socket = await guest.connectTcp('example.test', 80);
      void socket.write(sent);
      socket.end();
      const pieces: Uint8Array[] = [];
      for await (const piece of socket) pieces.push(piece);
      return Buffer.concat(pieces);
    });
    expect(got.equals(sent)).toBe(true);
  });

  test('a port without a server is refused, an address that is not there unreachable', async () => {
    const { guest, host } = await withServer();
    host.unreachable('198.51.100.0/24');
    const refused = guest.connectTcp('example.test', 81);
    await expect(world.until(refused)).rejects.toMatchObject({ name: 'ConnectionError', reason: 'refused' });
    const away = guest.connectTcp('198.51.100.7', 80);
    await expect(world.until(away)).rejects.toMatchObject({ reason: 'unreachable' });
    expect(world.clock.now()).toBeLessThan(5_000);
  });

  test('silence is silence for 75 s, then a reset, in no time', async () => {
    const { guest, host } = await withServer();
    host.silent('203.0.113.1');
    const from = world.clock.now();
    const since = performance.now();
    await expect(world.until(guest.connectTcp('203.0.113.1', 80))).rejects.toMatchObject({
      reason: 'refused',
    });
    expect(world.clock.now() - from).toBe(75_000);
    expect(performance.now() - since).toBeLessThan(2_000);
  });

  test('resets in both directions, with what had come before', async () => {
    const { guest } = create();
    const heard: string[] = [];
    world.serve({ name: 'example.test', port: 1 }, async (socket) => {
      await socket.write('last words');
      await socket.read(2);
      socket.reset();
    });
    world.serve({ name: 'example.test', port: 2 }, async (socket) => {
      await socket.read(5).catch((error: ConnectionError) => heard.push(error.reason));
    });
    await world.until(async () => {
      await guest.boot();
      const first = await guest.connectTcp('example.test', 1);
      await first.write('ok');
      expect(await first.closed).toBe('reset');
      expect(await first.read(10)).toHaveLength(10);
      await expect(first.readSome()).rejects.toThrow(ConnectionError);
      await expect(first.write('x')).rejects.toThrow(/the connection was reset by the other side/);
      const second = await guest.connectTcp('example.test', 2);
      second.reset();
      expect(await second.closed).toBe('aborted');
    });
    await world.run(10);
    expect(heard).toEqual(['reset']);
  });

  test('a client outside reaches a server in the guest by a forward', async () => {
    const { guest } = create({
      config: { forwards: [{ proto: 'tcp', host: '127.0.0.1:8080', guest: '80' }] },
    });
    const listener = guest.listenTcp(80);
    await world.until(async () => {
      await guest.boot();
      const client = await world.connect({ address: '127.0.0.1', port: 8080 });
      const server = await listener.accept();
      expect(server.peer).toMatch(/^10\.0\.2\.2:/);
      await client.write('GET /\r\n\r\nrest');
      expect(await server.readUntil('\r\n\r\n')).toBe('GET /\r\n\r\n');
      expect(await server.read(4)).toHaveLength(4);
      await server.write('there');
      server.end();
      expect(await client.readText()).toBe('there');
      client.end();
      expect(await client.closed).toBe('normal');
    });
    await expect(world.until(world.connect({ address: '127.0.0.1', port: 8081 }))).rejects.toMatchObject({
      reason: 'refused',
    });
  });

  test('a test that does not read closes the window: no more is buffered than the limits say', async () => {
    const { guest } = create({ config: { limits: { flowBytes: 65536 } } });
    let taken = 0;
    world.serve({ name: 'example.test', port: 80 }, async (socket) => {
      for (;;) {
        await socket.write(new Uint8Array(65536));
        taken += 65536;
      }
    });
    const socket = await world.until(async () => {
      await guest.boot();
      return guest.connectTcp('example.test', 80);
    });
    await world.run(60_000);
    // The guest's window, the flow's send ring, and 256 KiB that the world outside keeps.
    expect(taken).toBeGreaterThan(256 << 10);
    expect(taken).toBeLessThan(512 << 10);
    const before = taken;
    await world.until(socket.read(4 << 20));
    expect(taken).toBeGreaterThan(before);
    socket.reset();
    await world.run(100);
  });
});

describe('code of this process on the network', () => {
  test('talks to a server in the guest without a port on the host', async () => {
    const { guest, network } = create();
    guest.listenTcp(22, async (socket) => {
      await socket.write(await socket.readUntil('\n'));
      socket.end();
    });
    await world.until(async () => {
      await guest.boot();
      const socket = world.socketOf(await network.connectTcp(`${guest.address}:22`));
      await socket.write('echo\n');
      expect(await socket.readText()).toBe('echo\n');
      socket.end();
    });
  });

  test('serves guests at an address outside, with time limits that cost nothing', async () => {
    const { guest, network } = create();
    network.listenTcp('203.0.113.5:80', (stream) => {
      const socket = world.socketOf(stream);
      void world
        .run(30_000)
        .then(() => socket.write('at last'))
        .then(() => socket.end());
    });
    await world.until(async () => {
      await guest.boot();
      const from = world.clock.now();
      const socket = await guest.connectTcp('203.0.113.5', 80);
      expect(await socket.readText()).toBe('at last');
      socket.end();
      expect(world.clock.now() - from).toBeGreaterThanOrEqual(30_000);
    });
  });
});

describe('UDP', () => {
  test('datagrams of every size there and back, and a closed port', async () => {
    const { guest, host } = create();
    host.serveUdp({ name: 'echo.test', port: 7 }, ({ data, reply }) => reply(data));
    await world.until(async () => {
      await guest.boot();
      const socket = guest.udp();
      for (const length of [0, 1, 1472, 4000, 65507]) {
        await socket.send('echo.test', 7, pattern(length));
        const { data, address, port } = await socket.receive();
        expect(Buffer.from(data).equals(pattern(length))).toBe(true);
        expect(`${address}:${port}`).toBe('192.0.2.10:7');
      }
      socket.close();
      const lonely = guest.udp();
      await lonely.send('echo.test', 8, 'anybody?');
      await expect(lonely.receive()).rejects.toMatchObject({ reason: 'refused' });
    });
  });

  test('a client outside reaches a port of the guest by a forward', async () => {
    const { guest, host } = create({
      config: { forwards: [{ proto: 'udp', host: '127.0.0.1:5353', guest: '53' }] },
    });
    const answers: string[] = [];
    await world.until(async () => {
      await guest.boot();
      const server = guest.udp(53);
      const client = host.openClientUdp(({ data }) => answers.push(Buffer.from(data).toString()));
      client.send(Buffer.from('ping'), '127.0.0.1', 5353);
      const { address, port } = await server.receive();
      await server.send(address, port, 'pong');
    });
    await world.run(10);
    expect(answers).toEqual(['pong']);
  });
});

describe('names', () => {
  test('the served names are known, no others', async () => {
    const { guest, host } = await withServer();
    host.addName('www.example.test', '192.0.2.10');
    host.addName('www.example.test', '192.0.2.11');
    expect(await world.until(guest.resolve('EXAMPLE.test.'))).toEqual(['192.0.2.10']);
    expect(await world.until(guest.resolve('www.example.test'))).toEqual(['192.0.2.10', '192.0.2.11']);
    await expect(world.until(guest.resolve('nowhere.test'))).rejects.toThrow('nowhere.test: NXDOMAIN');
    await expect(world.until(guest.connectTcp('no such name', 80))).rejects.toThrow('neither');
  });

  test('RFC 7766: what does not fit a datagram is asked for over TCP', async () => {
    const { guest, host } = await withServer();
    const all = Array.from({ length: 60 }, (_, i) => `203.0.113.${i + 1}`);
    for (const address of all) host.addName('many.test', address);
    expect(await world.until(guest.resolve('many.test'))).toEqual(all);
  });

  test('a name server that is silent is SERVFAIL, after its time limits', async () => {
    const { guest, host } = await withServer();
    host.silent('192.0.2.53');
    await expect(world.until(guest.resolve('example.test'))).rejects.toThrow('SERVFAIL');
    const { guest: other } = world;
    await expect(world.until(other.resolve('example.test'))).rejects.toThrow('SERVFAIL');
  });
});

describe('time that is moved by hand', () => {
  test('until() says what is being waited for when its limit is over', async () => {
    const { guest } = await withServer();
    const socket = await world.until(guest.connectTcp('example.test', 80));
    const waiting = world.until(socket.read(1), { limitMs: 3_000 });
    await expect(waiting).rejects.toThrow(
      `nothing for 3000 ms; waiting: ${socket.peer} to `.replace(socket.peer, 'example.test:80'),
    );
    // The read goes on.
    await world.until(socket.write('x'));
    await world.run(10);
  });

  test('an idle connection lives on for hours, which take no time', async () => {
    const { guest } = await withServer();
    const socket = await world.until(guest.connectTcp('example.test', 80));
    await world.run(3 * 3_600_000);
    await world.until(socket.write('still here'));
    expect(await world.until(socket.read(10))).toHaveLength(10);
  });

  test('what a server throws fails the test that is waiting, or the next one to wait', async () => {
    const { guest } = create();
    world.serve({ name: 'example.test', port: 80 }, async (socket) => {
      expect(await socket.readText()).toBe('what was agreed');
    });
    await world.until(guest.boot());
    const talk = async (): Promise<void> => {
      const socket = await guest.connectTcp('example.test', 80);
      await socket.write('something else');
      socket.end();
      await socket.readAll();
    };
    await expect(world.until(talk)).rejects.toThrow('what was agreed');
    void guest.connectTcp('example.test', 80).then((socket) => socket.end());
    await expect(world.run(100)).rejects.toThrow('what was agreed');
  });

  test('run() in a work that until() drives is a sleep', async () => {
    create();
    const from = world.clock.now();
    await world.until(async () => {
      await Promise.all([world.run(1000), world.run(5000)]);
      await world.run(500);
    });
    expect(world.clock.now() - from).toBe(5500);
  });
});

/** What a session with losses leaves behind: the digest of its capture. */
async function digestOf(seed: number): Promise<string> {
  const hash = createHash('sha256');
  const capture: FrameRecorder = {
    record: (direction, memory, off, len, wallMs) =>
      hash.update(`${direction} ${wallMs} `).update(memory.bytes.subarray(off, off + len)),
  };
  await withServer({ seed, capture, faults: { loss: 0.05, reorder: 0.02, duplicate: 0.02 } });
  await world.until(async () => {
    const socket = await world.guest.connectTcp('example.test', 80);
    void socket.write('x'.repeat(200_000));
    socket.end();
    expect(await socket.readText()).toBe('X'.repeat(200_000));
    await socket.closed;
  });
  await world.close();
  return hash.digest('hex');
}

describe('seeds and faults', () => {
  test('the same seed is the same bytes on the wire, another is others', async () => {
    const first = await digestOf(7);
    expect(await digestOf(7)).toBe(first);
    expect(await digestOf(8)).not.toBe(first);
  });

  test('a cable that is bad on purpose: everything arrives, and it was bad', async () => {
    const { guest } = create({ faults: { loss: 0.05, delay: 20, jitter: 5, corrupt: 0.001 } });
    const sent = pattern(300_000);
    world.serve({ name: 'example.test', port: 80 }, async (socket) => {
      await socket.write(sent);
      socket.end();
      await socket.readAll();
    });
    await world.until(async () => {
      await guest.boot();
      const socket = await guest.connectTcp('example.test', 80);
      expect(Buffer.from(await socket.readAll()).equals(sent)).toBe(true);
      socket.end();
    });
    const [link] = world.network.stats().links;
    expect(link?.faults?.toGuest.lost).toBeGreaterThan(0);
    expect(world.network.stats().tcp.retransmits).toBeGreaterThan(0);
  });
});

describe('two guests', () => {
  test('on one network they talk to each other, and one has a bad cable', async () => {
    const { guest } = create();
    const other = world.plug({ name: 'other', faults: { delay: 50 } });
    const served = other.listenTcp(22, async (socket) => {
      await socket.write(`you are ${socket.peer}`);
      socket.end();
    });
    await world.until(async () => {
      await Promise.all([guest.boot(), other.boot()]);
      expect(new Set([guest.address, other.address])).toEqual(new Set(['10.0.2.15', '10.0.2.16']));
      const from = world.clock.now();
      const socket = await guest.connectTcp(other.address, 22);
      expect(world.clock.now() - from).toBeGreaterThanOrEqual(100);
      expect(await socket.readText()).toBe(`you are ${socket.own}`);
      served.close();
      await expect(guest.connectTcp(other.address, 22)).rejects.toMatchObject({ reason: 'refused' });
    });
  });

  test('one that is closed is gone: its sockets say down, the other is not there any more', async () => {
    const { guest } = await withServer();
    const other = world.plug();
    await world.until(other.boot());
    const socket = await world.until(guest.connectTcp('example.test', 80));
    const accepting = guest.listenTcp(9).accept();
    const receiving = guest.udp().receive();
    const reading = socket.read(1);
    guest.close();
    await expect(world.until(reading)).rejects.toMatchObject({ reason: 'down' });
    expect(await socket.closed).toBe('down');
    await expect(accepting).rejects.toThrow('closed');
    await expect(receiving).rejects.toThrow('closed');
    await expect(world.until(other.connectTcp('10.0.2.15', 9))).rejects.toMatchObject({
      reason: 'unreachable',
    });
  });
});
