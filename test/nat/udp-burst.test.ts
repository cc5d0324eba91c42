// Datagrams that come in one turn. The second of a burst goes where the first did without being looked up again: only if it
// is of the same burst.

import { beforeEach, expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/addr.ts';
import { udp } from '../support/raw-frames.ts';
import { framed } from '../support/train-frames.ts';
import { TrainWorld } from '../support/train-world.ts';

let world: TrainWorld;

beforeEach(() => {
  world = new TrainWorld({ links: 2 });
});

/** What each socket of the host has sent. */
function sent(): string[][] {
  return world.host.sockets.map((socket) =>
    socket.sent.map(({ data, to }) => `${Buffer.from(data).toString()} ${formatEndpoint(to)}`),
  );
}

test('to one remote and another, in turns: each gets its own', () => {
  const fields = { sport: 4000, dst: '198.51.100.1' };
  world.receives(
    0,
    udp('a', { ...fields, dport: 5000 }),
    udp('b', { ...fields, dport: 5000 }),
    udp('c', { ...fields, dport: 5001 }),
    udp('d', { ...fields, dport: 5000 }),
    udp('e', { ...fields, dport: 5000, dst: '198.51.100.2' }),
  );
  expect(sent()).toEqual([
    [
      'a 198.51.100.1:5000',
      'b 198.51.100.1:5000',
      'c 198.51.100.1:5001',
      'd 198.51.100.1:5000',
      'e 198.51.100.2:5000',
    ],
  ]);
});

test('from another port of the guest: by another socket', () => {
  const to = { dport: 5000, dst: '198.51.100.1' };
  world.receives(0, ...[4000, 4000, 4001, 4000].map((sport, i) => udp(`${i}`, { ...to, sport })));
  expect(sent()).toEqual([
    ['0 198.51.100.1:5000', '1 198.51.100.1:5000', '3 198.51.100.1:5000'],
    ['2 198.51.100.1:5000'],
  ]);
});

test('with the same addresses and ports from another guest, in the same turn: by another socket', () => {
  const fields = { sport: 4000, dport: 5000, dst: '198.51.100.1' };
  const [first, second] = world.links;
  const other = { ...fields, from: '52:54:00:00:00:99' };
  // A socket that is opened takes the time of some turns, which have to be over.
  world.receives(0, udp('0', fields));
  world.receives(1, udp('1', other));
  for (let i = 0; i < 20; i++) for (const link of world.links) link.receivesSome(Buffer.alloc(0));
  world.network.turn.run(() => {
    first!.receivesSome(framed([udp('a', fields)]));
    second!.receivesSome(framed([udp('b', other)]));
    first!.receivesSome(framed([udp('c', fields)]));
  });
  const texts = sent().map((socket) => socket.map((text) => text[0]).join(''));
  expect(texts).toEqual(['0ac', '1b']);
});

test('to where the guest may not send, behind one to where it may: dropped by policy all the same', () => {
  const fields = { sport: 4000, dport: 80 };
  world.receives(
    0,
    udp('a', { ...fields, dst: '198.51.100.1' }),
    udp('b', { ...fields, dst: '169.254.169.254' }),
    udp('c', { ...fields, dst: '198.51.100.1' }),
  );
  expect(sent()).toEqual([['a 198.51.100.1:80', 'c 198.51.100.1:80']]);
  expect(world.network.stats().drops).toEqual({ PolicyDenied: 1 });
});

test('a queue of the host that is full: each is dropped by its name', () => {
  const fields = { sport: 4000, dport: 5000, dst: '198.51.100.1' };
  world.receives(0, udp('a', fields));
  world.host.sockets[0]!.full = true;
  world.receives(0, udp('b', fields), udp('c', fields));
  expect(sent()).toEqual([['a 198.51.100.1:5000']]);
  expect(world.network.stats().drops).toEqual({ UdpHostQueueFull: 2 });
});
