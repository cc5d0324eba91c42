// Run as a program by test/node/websocket-serve.test.ts: guests on WebSockets, one that has not said what it wants, and one
// that does not read, when the port and its networks are closed. The process must then end by itself.

import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { serveWebSocket } from '../../src/websocket.ts';

const serving = await serveWebSocket();
const { port } = serving.port.spec;
const clients = [new WebSocket(serving.url), new WebSocket(serving.url, ['binary'])];
await Promise.all(clients.map((client) => once(client, 'open')));
const silent = connect(port, '127.0.0.1')
  .on('error', () => {})
  .resume();
await once(silent, 'connect');
while (serving.networks.size < 2) await new Promise((resolve) => setImmediate(resolve));
const networks = [...serving.networks];
clients[0]!.pause();

await serving.close();
const left = networks.reduce((sum, network) => sum + network.stats().arena.used, 0);
process.stdout.write(`${clients.length} guests, then ${left} bytes, ${serving.networks.size} networks`);
clients[0]!.terminate();
