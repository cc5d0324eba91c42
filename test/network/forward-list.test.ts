// Forwards of a running network: added, listed, removed.

import { describe, expect, test } from 'vitest';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';

const SSH = { proto: 'tcp', host: '127.0.0.1:2222', guest: '22' } as const;
const DNS = { proto: 'udp', host: '5353', guest: '10.0.2.15:53' } as const;

describe('forwards of a running network', () => {
  test('one is added, used, removed: no new connections, the open one stays', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot();
    const server = new SocketRecord();
    guest.listenTcp(22, (socket) => {
      server.socket = socket;
      return server;
    });
    const ssh = await bench.network.forward.add(SSH);
    expect(ssh).toEqual({ proto: 'tcp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' });
    expect(bench.network.forward.list()).toEqual([ssh]);
    const client = bench.host.connects(to('127.0.0.1', 2222), to('127.0.0.1', 50_000))!;
    client.gives('one');
    bench.clock.advance(5);
    expect(bench.network.forward.remove(ssh)).toBe(true);
    expect(bench.network.forward.remove(ssh)).toBe(false);
    expect(bench.network.forward.list()).toEqual([]);
    client.gives(' two');
    bench.clock.advance(5);
    expect(server.text).toBe('one two');
    expect(bench.host.listeners.map(({ closed }) => closed)).toEqual([true]);
  });

  test('start() again is the same; where it fails, what add() has bound stays', async () => {
    const bench = new NetworkBench({ forwards: [SSH] });
    await bench.boot();
    const first = await bench.network.start();
    expect(await bench.network.start()).toBe(first);
    expect(bench.network.forward.list()).toEqual(first);
    expect(bench.host.listeners).toHaveLength(1);

    const taken = new NetworkBench({ forwards: [SSH] });
    const added = await taken.network.forward.add(DNS);
    taken.host.bindError = 'tcp 2222 is taken';
    await expect(taken.network.start()).rejects.toThrow('2222');
    expect(taken.network.forward.list()).toEqual([added]);
    taken.host.bindError = null;
    expect(await taken.network.start()).toHaveLength(1);
  });

  test('UDP: answers go out by the forward while it is there', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot();
    const server = guest.openUdp({ onDatagram: (data, from) => server.send(from, data) }, 53);
    const forward = await bench.network.forward.add(DNS);
    expect(forward.host).toBe('127.0.0.1:5353');
    const { socket } = bench.host;
    const sent: string[] = [];
    bench.host.onSend = (_socket, data, { port }) => sent.push(`${port} ${Buffer.from(data)}`);
    socket.gives(Buffer.from('question'), to('127.0.0.1', 40_000));
    bench.clock.advance(5);
    expect(sent).toEqual(['40000 question']);
    expect(bench.network.forward.remove(forward)).toBe(true);
    expect(socket.closed).toBe(true);
    server.send(to('10.0.2.2', 40_000), Buffer.from('late'));
    bench.clock.advance(5);
    expect(sent).toHaveLength(2);
    expect(bench.host.socket).not.toBe(socket);
  });

  test('what is wrong with one is said, and the others stay', async () => {
    const { network, host } = new NetworkBench();
    const add = (forward: object) => network.forward.add(forward as typeof SSH);
    await add(SSH);
    host.bindError = '127.0.0.1:2222: EADDRINUSE';
    await expect(add(SSH)).rejects.toThrow('127.0.0.1:2222: EADDRINUSE');
    await expect(add({ ...SSH, proto: 'sctp' })).rejects.toThrow(
      'forward.proto: "sctp" is neither tcp nor udp',
    );
    await expect(add({ ...SSH, guest: '10.0.2.2:22' })).rejects.toThrow(
      'forward.guest: 10.0.2.2 is the gateway',
    );
    await expect(add({ ...SSH, guest: '10.9.9.9:22' })).rejects.toThrow('forward.guest: 10.9.9.9 is not in');
    await expect(add({ ...SSH, guests: 1 })).rejects.toThrow('forward.guests: no such setting');
    expect(network.forward.list()).toHaveLength(1);
  });

  test('after close nothing is bound any more', async () => {
    const bench = new NetworkBench();
    await bench.network.close();
    await expect(bench.network.forward.add(SSH)).rejects.toThrow('the network is closed');
    expect(bench.host.listeners).toHaveLength(0);
  });
});
