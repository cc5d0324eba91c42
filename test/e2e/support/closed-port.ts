// Run as a program by test/e2e/closed-port.test.ts, in a network namespace whose ephemeral ports are two: a guest connects
// again and again to one of them, where nobody listens. Prints what the guest saw, as JSON.

import { EmbeddedGuest } from '../../../src/guest/guest.ts';
import { createPair } from '../../../src/link/pair.ts';
import { createNodeNetwork } from '../../../src/node/node-network.ts';
import { NodeRandom } from '../../../src/node/random.ts';
import { SocketRecord, to } from '../../support/guest-bench.ts';

const [port, times] = process.argv.slice(2).map(Number);
// A network without a socket keeps no process alive.
const alive = setInterval(() => {}, 1000);
const network = createNodeNetwork();
await network.start();
const pair = createPair('guest', 1514);
network.attach(pair.link);
const guest = new EmbeddedGuest({ host: network, random: new NodeRandom(), link: pair.peer });
await guest.boot();
const seen: string[] = [];
for (let i = 0; i < times!; i++) {
  const record = new SocketRecord();
  const socket = guest.connectTcp(to('10.0.2.2', port!), record);
  while (record.events.length === 0) await new Promise((resolve) => setImmediate(resolve));
  seen.push(record.events[0]!);
  socket.reset();
}
process.stdout.write(JSON.stringify(seen));
guest.close();
await network.close();
clearInterval(alive);
