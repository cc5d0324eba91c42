// Run as a program by test/node/exit.test.ts: a whole network with a guest, a forward, and flows that are still open when
// it is closed. The process must then end by itself.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createPair } from '../../src/link/pair.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { to } from './guest-bench.ts';

const network = createNodeNetwork({ forwards: [{ proto: 'tcp', host: '127.0.0.1:0', guest: '22' }] });
await network.start();
const pair = createPair('guest', 1514);
network.attach(pair.link);
const guest = new EmbeddedGuest({ host: network, random: new NodeRandom(), link: pair.peer });
await guest.boot();

// A server that answers and goes on listening to an open connection, and one for datagrams.
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (data) => socket.write(data));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const echo = createSocket('udp4').bind(0, '127.0.0.1');
await once(echo, 'listening');

await new Promise<void>((resolve) => {
  guest.connectTcp(to('10.0.2.2', (server.address() as AddressInfo).port), {
    onOpen: (socket) => void socket.write(Buffer.from('hello')),
    onReadable: () => resolve(),
  });
});
guest.openUdp({}).send(to('10.0.2.2', echo.address().port), Buffer.from('hello'));
await once(echo, 'message');
const { flows } = network.stats();

guest.close();
await network.close();
server.close();
echo.close();
const after = network.stats();
const left = after.flows.tcp + after.flows.udp + after.timers + after.arena.used;
process.stdout.write(`${flows.tcp} tcp, ${flows.udp} udp, then ${left}`);
