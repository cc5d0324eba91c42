// Tests an HTTP client without a machine, a port or a second of waiting: against a server with a name, behind a cable that
// loses one frame in twenty. In a project of your own the import is 'usernet/testing'.

import { createTestNetwork, type TestSocket } from '../../src/testing.ts';

/** The client that is tested: the body of an answer, whose length the server says. */
async function get(socket: TestSocket, host: string, path: string): Promise<Uint8Array> {
  await socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const head = await socket.readUntil('\r\n\r\n');
  const length = /^HTTP\/1\.1 200 .*\r\nContent-Length: (\d+)\r\n/is.exec(head)?.[1];
  if (length === undefined) throw new Error(`not what was expected: ${head}`);
  return socket.read(Number(length));
}

const world = createTestNetwork({ seed: 7, faults: { loss: 0.05, delay: 20 } });
const file = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * i) >> 3);

world.serve({ name: 'example.test', port: 80 }, async (socket) => {
  const request = await socket.readUntil('\r\n\r\n');
  if (!/^GET \/file HTTP\/1\.1\r\nHost: example\.test\r\n/.test(request)) throw new Error(request);
  await socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${file.length}\r\n\r\n`);
  await socket.write(file);
});

await world.until(async () => {
  await world.guest.boot();
  const socket = await world.guest.connectTcp('example.test', 80);
  const body = await get(socket, 'example.test', '/file');
  if (!body.every((byte, i) => byte === file[i])) throw new Error('the file is not what was served');
  socket.end();
});

const { tcp, links } = world.network.stats();
const lost = (links[0]?.faults?.toGuest.lost ?? 0) + (links[0]?.faults?.fromGuest.lost ?? 0);
console.log(`${file.length} bytes in ${world.clock.now()} ms of virtual time`);
console.log(`${lost} frames lost, ${tcp.retransmits} segments sent again, every byte as it should be`);
await world.close();
