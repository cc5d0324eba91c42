// A PC in v86 in a web page, its network in the same page, and here what these two lack: the page's files, and a relay to
// the world. Prints the URL to open. In a project of your own the import is 'usernet/websocket'.
//
//   node tools/run.mjs tools/examples/v86-page.ts
//
// The machine is Debian's 686 kernel with busybox, as tools/v86/build.ts makes it; any V86 with a network card will do.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { openRelay } from '../../src/websocket.ts';
import { FOLDER } from '../v86/settings.ts';

const SOURCE = 'tools/examples/v86-page';
const V86 = dirname(createRequire(import.meta.url).resolve('v86'));

const bundle = await build({
  entryPoints: [join(SOURCE, 'page.ts')],
  ...{ bundle: true, format: 'esm', target: 'es2022', write: false },
  // As it is in its package: index.html says where.
  external: ['v86'],
});

const files = new Map<string, readonly [type: string, body: Uint8Array]>([
  ['/', ['text/html', readFileSync(join(SOURCE, 'index.html'))]],
  ['/page.js', ['text/javascript', bundle.outputFiles[0]!.contents]],
  ['/libv86.mjs', ['text/javascript', readFileSync(join(V86, 'libv86.mjs'))]],
  ['/v86.wasm', ['application/wasm', readFileSync(join(V86, 'v86.wasm'))]],
  ['/virtio.state', ['application/octet-stream', readFileSync(join(FOLDER, 'virtio.state'))]],
  // What the guest fetches: its own kernel.
  ['/vmlinuz', ['application/octet-stream', readFileSync(join(FOLDER, 'vmlinuz'))]],
]);
const server = createServer((request, response) => {
  const [type, body] = files.get(request.url ?? '') ?? [];
  response.statusCode = type === undefined ? 404 : 200;
  response.setHeader('Content-Type', type ?? 'text/plain').end(body);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// The guest's 10.0.2.2 is this computer, for whoever has the page's URL; without `hostLoopback` it is nothing.
const relay = await openRelay({ origins: [origin], hostLoopback: true, onRefused: console.error });
console.log(`${origin}/#${relay.url}`);

const end = async (): Promise<void> => {
  const { streams, openStreams } = relay.stats();
  console.log(`streams: ${streams}, open: ${openStreams}`);
  await relay.close();
  server.close();
  server.closeAllConnections();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end());
