// A guest that floods, in a process of its own: frames that were written before, as fast as the link takes them. The servers
// of the host that it makes work for are here too.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { answer } from '../e2e/support/pinned.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { stuckListener } from '../support/stuck-listener.ts';
import { FrameWriter } from './frames.ts';
import { FLOODS, type Targets } from './kinds.ts';

/** Different ones; then they come again. */
const FRAMES = 16_384;
const CHUNK = 65_536;
const MAC = { hi: 0x5254, lo: 0x00666666 };
const ADDRESS = 0x0a0002c8;

// Also while it is not ready to answer: who has started it may have gone.
process.on('disconnect', () => process.exit(0));

const path = process.argv[2]!;
const accepting = createServer((taken) => taken.on('error', () => {}).resume());
accepting.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
await once(accepting, 'listening');
const closed = createServer().listen(0, '127.0.0.1');
await once(closed, 'listening');
const { port: refusing } = closed.address() as AddressInfo;
closed.close();
const stuck = await stuckListener();
process.on('exit', () => stuck.close());

/** The flood as the link's bytes, in chunks of whole frames. */
function chunksOf(kind: string, targets: Targets): Buffer[] {
  const writer = new FrameWriter(new SeededRandom(1), MAC, ADDRESS);
  const chunks: Buffer[] = [];
  let parts: Buffer[] = [];
  let len = 0;
  for (let n = 0; n < FRAMES; n++) {
    const frame = Buffer.from(FLOODS[kind]!.frames(writer, n, targets));
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(frame.length);
    parts.push(prefix, frame);
    len += prefix.length + frame.length;
    if (len < CHUNK && n < FRAMES - 1) continue;
    chunks.push(Buffer.concat(parts));
    parts = [];
    len = 0;
  }
  return chunks;
}

let socket: Socket | null = null;

function pour(link: Socket, chunks: readonly Buffer[]): void {
  let at = 0;
  const write = (): void => {
    while (link.write(chunks[at]!)) at = (at + 1) % chunks.length;
    at = (at + 1) % chunks.length;
  };
  link.on('drain', write).on('error', () => {});
  link.resume();
  write();
}

const answers = {
  /** Returns when the link has been full, and the network has taken some of it. */
  start: async (kind: string, victim: Targets['victim']): Promise<void> => {
    const { port: open } = accepting.address() as AddressInfo;
    const chunks = chunksOf(kind, { victim, open, refusing, hanging: stuck.port });
    socket = connect(path);
    await once(socket, 'connect');
    pour(socket, chunks);
    await once(socket, 'drain');
  },
  /** Pulls the cable; bytes that the link had not taken. */
  stop: (): number => {
    const waiting = socket?.writableLength ?? 0;
    socket?.destroy();
    return waiting;
  },
};
export type FlooderAnswers = typeof answers;
answer(answers);
