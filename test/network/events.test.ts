import { describe, expect, test } from 'vitest';
import { EventListeners } from '../../src/network/events.ts';
import { NetworkBench } from '../support/guest-bench.ts';

const LEASE = { mac: '52:54:00:12:34:56', address: '10.0.2.15' };

describe('listeners', () => {
  test('each hears in the order in which they came, until it is ended', () => {
    const listeners = new EventListeners();
    const heard: string[] = [];
    const handler = (): void => void heard.push('a');
    const off = listeners.on('lease', handler);
    listeners.on('lease', handler);
    listeners.on('lease', ({ address }) => heard.push(address));
    listeners.emit('lease', LEASE);
    off();
    off();
    listeners.emit('lease', LEASE);
    listeners.emit('guest-up', { link: 'x' });
    expect(heard).toEqual(['a', 'a', '10.0.2.15', 'a', '10.0.2.15']);
  });

  test('a signal ends it, before or after; then nothing is held', () => {
    const listeners = new EventListeners();
    const abort = new AbortController();
    let heard = 0;
    listeners.on('lease', () => heard++, { signal: abort.signal });
    listeners.emit('lease', LEASE);
    abort.abort();
    listeners.on('lease', () => heard++, { signal: abort.signal });
    listeners.emit('lease', LEASE);
    expect(heard).toBe(1);
    expect(listeners.has('lease')).toBe(false);
  });

  test('one that throws is an error event; one that is wrong about errors stops nobody', () => {
    const listeners = new EventListeners();
    const heard: unknown[] = [];
    const thrown = new Error('mine');
    listeners.on('error', () => {
      throw new Error('again');
    });
    listeners.on('error', (error) => heard.push(error));
    listeners.on('lease', () => {
      throw thrown;
    });
    listeners.on('lease', () => heard.push('second'));
    listeners.emit('lease', LEASE);
    expect(heard).toEqual([{ message: 'the handler of lease threw: mine', cause: thrown }, 'second']);
  });

  test('once: the next one, or the reason of the signal', async () => {
    const listeners = new EventListeners();
    const abort = new AbortController();
    const first = listeners.once('lease');
    const never = listeners.once('error', { signal: abort.signal });
    listeners.emit('lease', LEASE);
    listeners.emit('lease', { ...LEASE, address: '10.0.2.16' });
    abort.abort(new Error('no more'));
    expect(await first).toEqual(LEASE);
    await expect(never).rejects.toThrow('no more');
    await expect(listeners.once('lease', { signal: abort.signal })).rejects.toThrow('no more');
    expect([listeners.has('lease'), listeners.has('error')]).toEqual([false, false]);
  });
});

test('what a network tells of a guest, from its cable to the end of its flows', async () => {
  const heard: unknown[] = [];
  const bench = new NetworkBench();
  const { network } = bench;
  for (const name of ['guest-up', 'lease', 'flow-open', 'flow-end', 'guest-down'] as const)
    network.on(name, (event) => heard.push([name, event]));
  const guest = await bench.boot();
  guest.listenTcp(80, () => ({}));
  const connected = network.connectTcp('80');
  bench.clock.advance(5);
  await connected;
  const [flow] = network.flows();
  guest.close();
  bench.clock.advance(5);
  const remote = expect.stringMatching(/^10\.0\.2\.2:\d+$/);
  expect(heard).toEqual([
    ['guest-up', { link: 'guest0' }],
    ['lease', { mac: expect.any(String), address: '10.0.2.15' }],
    ['flow-open', { id: flow!.id, kind: 'tcp', guest: '10.0.2.15:80', remote }],
    ['flow-end', { id: flow!.id, kind: 'tcp', reason: 'guest-gone', bytesToHost: 0, bytesToGuest: 0 }],
    ['guest-down', { link: 'guest0', reason: 'the other end was closed' }],
  ]);
});
