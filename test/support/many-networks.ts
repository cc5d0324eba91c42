// Run as a program by test/node/exit.test.ts: ten networks with ten guests each in one process, every one of which is
// leased an address, talks to its neighbour, and is closed while it still does. The process must then end by itself.

import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createPair } from '../../src/link/pair.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { to } from './guest-bench.ts';

const NETWORKS = 10;
const GUESTS = 10;
const random = new NodeRandom();

const worlds = Array.from({ length: NETWORKS }, (_, n) => {
  const network = createNodeNetwork({ subnet: '10.0.2.0/24' });
  const guests = Array.from({ length: GUESTS }, (_, i) => {
    const pair = createPair(`guest${i}`, 1514);
    network.attach(pair.link);
    return new EmbeddedGuest({ host: network, random, link: pair.peer });
  });
  return { n, network, guests };
});

// The engine's alarms keep no process alive: whoever waits for one does so itself.
const alive = setInterval(() => {}, 1000);
const heard: string[] = [];
for (const { n, guests } of worlds) {
  const leases = await Promise.all(guests.map((guest) => guest.boot()));
  if (new Set(leases.map(({ text }) => text)).size !== GUESTS) throw new Error('two guests have one address');
  for (const [i, guest] of guests.entries()) {
    guest.listenTcp(1000 + n, (socket) => ({
      onReadable: () => {
        const data = new Uint8Array(socket.readable);
        socket.read(data);
        heard.push(`${n}.${i} ${Buffer.from(data)}`);
      },
    }));
  }
  const next = leases.map((_, i) => leases[(i + 1) % GUESTS]!);
  await Promise.all(
    guests.map(
      (guest, i) =>
        new Promise<void>((resolve) => {
          guest.connectTcp(to(next[i]!.text, 1000 + n), {
            onOpen: (socket) => {
              socket.write(Buffer.from(`${n}.${i}`));
              resolve();
            },
          });
        }),
    ),
  );
}
while (heard.length < NETWORKS * GUESTS) await new Promise((resolve) => setImmediate(resolve));
// Each was heard by its neighbour, in its own network.
const astray = heard.filter((line) => {
  const [by, from] = line.split(' ').map((name) => name.split('.').map(Number));
  return by![0] !== from![0] || by![1] !== (from![1]! + 1) % GUESTS;
});
clearInterval(alive);
await Promise.all(worlds.map(({ network }) => network.close()));
for (const { guests } of worlds) for (const guest of guests) guest.close();
const left = worlds.map(({ network }) => {
  const { flows, timers, arena } = network.stats();
  return flows.tcp + flows.udp + timers + arena.used;
});
process.stdout.write(`${heard.length} heard, ${astray.length} astray, ${left.reduce((a, b) => a + b)} left`);
