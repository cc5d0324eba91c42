import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type ServeWebSocketOptions, serveWebSocket } from '../../src/websocket.ts';
import { WebSocketGuest } from '../support/websocket-guest.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(options: ServeWebSocketOptions = {}) {
  const serving = await serveWebSocket(options);
  cleanups.push(() => serving.close());
  const boot = async (): Promise<WebSocketGuest> => {
    const guest = await WebSocketGuest.boot(serving.url);
    cleanups.push(() => guest.close());
    return guest;
  };
  return { serving, boot };
}

/** Of this host's loopback: says hello and ends. */
async function helloPort(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('guests on networks of their own', () => {
  test('each has the first lease, and cannot reach the other', async () => {
    const { serving, boot } = await serve();
    const [one, other] = [await boot(), await boot()];
    expect([one.address, other.address]).toEqual(['10.0.2.15', '10.0.2.15']);
    expect(serving.networks.size).toBe(2);
    one.machine.ping(to10(16));
    one.machine.ping(to10(2));
    const before = other.machine.framesIn;
    // An answer from its own gateway, when whatever it has flooded had its chance.
    await one.fetch('10.0.2.2', 9);
    expect(other.machine.framesIn).toBe(before);
  });

  test('a network ends with its guest', async () => {
    const { serving, boot } = await serve();
    const [one] = [await boot(), await boot()];
    const [network] = serving.networks;
    one!.close();
    await network!.once('guest-down');
    await new Promise((resolve) => setImmediate(resolve));
    expect(serving.networks.size).toBe(1);
    expect(network!.stats().arena.used).toBe(0);
  });
});

test('shared: guests on one network, whose forwards are bound before anybody is there', async () => {
  const forwards = [{ proto: 'tcp', host: '127.0.0.1:0', guest: '7' }] as const;
  const { serving, boot } = await serve({ shared: true, network: { forwards } });
  const [network] = serving.networks;
  expect(network!.forward.list()).toHaveLength(1);
  const [one, other] = [await boot(), await boot()];
  expect([one.address, other.address]).toEqual(['10.0.2.15', '10.0.2.16']);
  expect(serving.networks.size).toBe(1);
  expect(await one.fetch(other.address, 9)).toBe('refused');
  one.close();
  await network!.once('guest-down');
  expect(serving.networks.size).toBe(1);
});

describe('what guests of pages reach', () => {
  test('neither the loopback of the host nor its networks, by default', async () => {
    const port = await helloPort();
    const { serving, boot } = await serve();
    const [guest] = [await boot()];
    expect(await guest.fetch('10.0.2.2', port)).toBe('refused');
    const [network] = serving.networks;
    for (const address of [
      '192.168.1.1',
      '10.1.2.3',
      '172.16.0.1',
      '100.64.0.1',
      '169.254.1.1',
      '169.254.169.254',
    ])
      expect([address, await guest.fetch(address, 80)]).toEqual([address, 'refused']);
    expect(network!.stats().drops['PolicyDenied']).toBe(6);
    expect(network!.settings.hostLoopback).toBe(false);
  });

  test('what somebody has asked for', async () => {
    const port = await helloPort();
    const { serving, boot } = await serve({ network: { hostLoopback: true, deny: [] } });
    const guest = await boot();
    expect(await guest.fetch('10.0.2.2', port)).toBe('hello');
    const [network] = serving.networks;
    expect(network!.settings.deny).toEqual([]);
  });
});

describe('serving', () => {
  test('options that are wrong are named, and nothing is left', async () => {
    await expect(serveWebSocket({ network: { mtu: 1 } })).rejects.toThrow('mtu: 1 is below 68');
    await expect(serveWebSocket({ token: 'short' })).rejects.toThrow('token=');
    const forwards = [{ proto: 'tcp', host: '127.0.0.1:0', guest: '7' }] as const;
    await expect(serveWebSocket({ network: { forwards } })).rejects.toThrow('network.forwards: ');
  });

  test('onGuest throws: that guest is turned away, and its network is gone', async () => {
    let calls = 0;
    const { serving, boot } = await serve({
      onGuest: (_, client) => {
        calls++;
        if (calls === 1) throw new Error(`no place for ${client.origin}`);
      },
    });
    const refused = new WebSocket(serving.url);
    await once(refused, 'close');
    expect(serving.port.refused).toEqual({ 'there was no network for it: no place for null': 1 });
    expect((await boot()).address).toBe('10.0.2.15');
    expect(serving.networks.size).toBe(1);
  });

  test('closed under open connections nothing is left that keeps the process alive', () => {
    const root = resolve(import.meta.dirname, '../..');
    const args = ['tools/run.mjs', 'test/support/websocket-exits-by-itself.ts'];
    const said = execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 15_000 });
    expect(said).toBe('2 guests, then 0 bytes, 0 networks');
  });
});

function to10(last: number): number {
  return (10 << 24) | (2 << 8) | last;
}
