import { Duplex } from 'node:stream';
import type { ByteStream } from '../host/byte-stream.ts';

/**
 * A connection of code on the virtual network as a Node stream, as a net.Socket would be with `allowHalfOpen`: end() is
 * a FIN, destroy() before both sides have ended a reset. Takes the stream over: nobody else may listen() to it. The guest
 * is held back while nobody reads. A guest may reset: listen to 'error', as on any socket, and read, or resume(), even where
 * nothing is expected: its FIN is behind what it has sent.
 */
export function duplexOf(stream: ByteStream): Duplex {
  /** Of the write that waits for the engine. */
  let drained: ((error?: Error | null) => void) | null = null;
  let ended = false;
  stream.pause();
  const duplex = new Duplex({
    read: () => stream.resume(),
    write(chunk: Uint8Array, _encoding, done) {
      if (stream.write(chunk)) done();
      else drained = done;
    },
    final(done) {
      stream.end();
      done();
    },
    destroy(error, done) {
      drained?.(error ?? new Error('the connection was destroyed'));
      drained = null;
      if (!stream.isClosed && !(ended && duplex.writableFinished)) stream.reset();
      done(error);
    },
  });
  stream.listen({
    onData: (data) => {
      if (!duplex.push(Buffer.from(data.buffer, data.byteOffset, data.length))) stream.pause();
    },
    onDrain: () => {
      const done = drained;
      drained = null;
      done?.();
    },
    onEnd: () => {
      ended = true;
      duplex.push(null);
      // For who never reads: 'end' comes when nothing is there to be read.
      duplex.read(0);
    },
    onClose: (error) => {
      if (error !== null) duplex.destroy(new Error(`the connection has ended: ${error}`));
    },
  });
  return duplex;
}
