// A TCP port where connections hang: its process listens and then sleeps for good, and its queue of connections is full,
// so that the kernel drops every further SYN.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const PROGRAM = `
  const server = require('node:net').createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;
/** Linux lets one more wait than it was told. */
const QUEUED = 2;

export interface StuckListener {
  readonly port: number;
  close(): void;
}

export async function stuckListener(): Promise<StuckListener> {
  const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(text);
  const queued: Socket[] = [];
  for (let i = 0; i < QUEUED; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    queued.push(socket);
    await once(socket, 'connect');
  }
  const close = (): void => {
    for (const socket of queued) socket.destroy();
    child.kill('SIGKILL');
  };
  return { port, close };
}
