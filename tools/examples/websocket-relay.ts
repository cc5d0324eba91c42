// A relay for emulators in pages (v86's wsproxy, jor1k, JSLinux, container2wasm): each page that connects has a network of
// its own, from which it reaches the internet and nothing on the way there. Prints the URL to give to the emulator, for v86
// `net_device: { relay_url: URL }`. In a project of your own the import is 'usernet/websocket'.
//
//   node tools/run.mjs tools/examples/websocket-relay.ts [PORT [ORIGIN ...]]

import { serveWebSocket } from '../../src/websocket.ts';

const [port = '0', ...origins] = process.argv.slice(2);

const relay = await serveWebSocket({
  port: Number(port),
  // Without a list: pages that are served by this computer.
  ...(origins.length > 0 ? { origins } : {}),
  clients: 32,
  // A guest that nobody knows needs no 128 MiB.
  network: { limits: { arenaBytes: 32 << 20, tcpFlows: 256, udpFlows: 256 } },
  onGuest: (network, { from, origin }) => {
    console.log(`${from}: a guest of ${origin ?? 'no page'}`);
    network.on('lease', ({ address }) => console.log(`${from}: has ${address}`));
    network.on('guest-down', ({ reason }) => console.log(`${from}: ${reason}`));
  },
  onRefused: (line) => console.error(line),
});
console.log(relay.url);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void relay.close());
