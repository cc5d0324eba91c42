// A connection of code on the virtual network as Web Streams, which a browser and Node have both.

import type { Abortable } from '../base/abort.ts';
import type { ByteStream } from '../host/byte-stream.ts';

/** A connection as Web Streams. */
export interface StreamPair {
  /** What the guest sends; ends with its FIN, errors when the connection does. Chunks are the reader's own. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What is sent to the guest; close() is a FIN, abort() a reset, as cancel() of the other is. Chunks are copied by write(). */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when both sides have ended in order; rejects with the reason when not. */
  readonly closed: Promise<void>;
}

/** Takes a stream over: nobody else may listen() to it. The guest is held back while nobody reads. */
export function webStreams(stream: ByteStream): StreamPair {
  const events = new Bridge(stream);
  stream.listen(events);
  return events;
}

class Bridge implements StreamPair {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly closed: Promise<void>;
  private reader: ReadableStreamDefaultController<Uint8Array> | null = null;
  private writer: WritableStreamDefaultController | null = null;
  /** Of the write that waits for the engine. */
  private pending: { resolve(): void; reject(reason: unknown): void } | null = null;
  private readonly stream: ByteStream;
  private settle: { resolve(): void; reject(reason: unknown): void } = { resolve() {}, reject() {} };

  constructor(stream: ByteStream) {
    this.stream = stream;
    this.closed = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    // Whoever does not ask need not handle it.
    this.closed.catch(() => {});
    stream.pause();
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.reader = controller;
      },
      pull: () => stream.resume(),
      cancel: (reason) => {
        this.reader = null;
        this.fail(reason);
      },
    });
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.writer = controller;
        const { signal } = controller as WritableStreamDefaultController & { readonly signal: Abortable };
        // The sink's abort() would wait for the write that the guest does not take.
        signal.addEventListener('abort', () => {
          this.writer = null;
          this.fail(signal.reason);
        });
      },
      write: (chunk) => this.write(chunk),
      close: () => stream.end(),
    });
  }

  onData(data: Uint8Array): void {
    this.reader?.enqueue(data);
    if ((this.reader?.desiredSize ?? 0) <= 0) this.stream.pause();
  }

  /** The user has had enough of either stream: a reset, and the other one ends with the same reason. */
  private fail(reason: unknown): void {
    this.breakOff(reason);
    this.stream.reset();
  }

  /** Everything that somebody may wait for ends with `reason`. */
  private breakOff(reason: unknown): void {
    this.pending?.reject(reason);
    this.reader?.error(reason);
    this.writer?.error(reason);
    this.pending = null;
    this.reader = null;
    this.writer = null;
    this.settle.reject(reason);
  }

  onDrain(): void {
    this.pending?.resolve();
    this.pending = null;
  }

  onEnd(): void {
    this.reader?.close();
    this.reader = null;
  }

  onClose(error: string | null): void {
    if (error === null) {
      this.onDrain();
      this.settle.resolve();
      this.onEnd();
      return;
    }
    this.breakOff(new Error(`the connection has ended: ${error}`));
  }

  private write(chunk: Uint8Array): Promise<void> | undefined {
    try {
      if (this.stream.write(chunk)) return undefined;
    } catch (error) {
      // What is no chunk errors the writable without a word to its sink.
      this.writer = null;
      this.fail(error);
      throw error;
    }
    return new Promise((resolve, reject) => {
      this.pending = { resolve, reject };
    });
  }
}
