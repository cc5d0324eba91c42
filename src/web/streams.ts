// A connection of code on the virtual network as Web Streams, which a browser and Node have both.

import type { ByteStream } from '../host/byte-stream.ts';

/** A connection as Web Streams. */
export interface StreamPair {
  /** What the guest sends; ends with its FIN, errors when the connection does. Chunks are the reader's own. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What is sent to the guest; close() is a FIN, abort() a reset. Chunks are copied before write() resolves. */
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
  private drained: (() => void) | null = null;
  private readonly stream: ByteStream;
  private settle: { resolve(): void; reject(error: Error): void } = { resolve() {}, reject() {} };

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
      cancel: () => stream.reset(),
    });
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.writer = controller;
      },
      write: (chunk) => this.write(chunk),
      close: () => stream.end(),
      abort: () => stream.reset(),
    });
  }

  onData(data: Uint8Array): void {
    this.reader?.enqueue(data);
    if ((this.reader?.desiredSize ?? 0) <= 0) this.stream.pause();
  }

  onDrain(): void {
    this.drained?.();
    this.drained = null;
  }

  onEnd(): void {
    this.reader?.close();
    this.reader = null;
  }

  onClose(error: string | null): void {
    this.onDrain();
    if (error === null) {
      this.settle.resolve();
      this.onEnd();
      return;
    }
    const failure = new Error(`the connection has ended: ${error}`);
    this.reader?.error(failure);
    this.writer?.error(failure);
    this.reader = null;
    this.writer = null;
    this.settle.reject(failure);
  }

  private write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.stream.write(chunk)) return undefined;
    return new Promise((resolve) => {
      this.drained = resolve;
    });
  }
}
