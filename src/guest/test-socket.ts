// A TCP connection as a test uses it: with promises. Around a connection of the embedded guest, or one of the world
// outside (TestStream is what both have in common).
//
// Bytes are taken from the connection only when the test reads, so a test that does not read closes the window. What a
// test writes waits here, in order, until the connection has room.

import { utf8Bytes, utf8Text } from '../base/utf8.ts';
import { viewOf } from '../wire/bytes.ts';
import { ConnectionError, type SocketEnd, type TestContext } from './test-waits.ts';

/** What a TestSocket needs of the connection it is around. */
export interface TestStream {
  /** Takes a copy of `bytes` as far as there is room, and says how many: TestSocket.writable() follows if not all. */
  write(bytes: Uint8Array): number;
  /** Everything that has come and was not taken, as the caller's own; null when there is nothing. */
  take(): Uint8Array | null;
  /** FIN behind what was written. */
  end(): void;
  /** RST. No call of TestSocket follows. */
  reset(): void;
}

/** The most that readAll() and readUntil() keep, if not said otherwise. */
const DEFAULT_MOST = 64 << 20;

interface Unsent {
  readonly bytes: Uint8Array;
  sent: number;
  resolve(): void;
  reject(error: Error): void;
}

/** A connection with promises, for tests. */
export class TestSocket {
  /** Both ends: `10.0.2.15:49152`. */
  readonly own: string;
  readonly peer: string;
  /** Resolves when the connection is over, TIME-WAIT included, with the reason. Never rejects. */
  readonly closed: Promise<SocketEnd>;
  private readonly stream: TestStream;
  private readonly context: TestContext;
  private have: Uint8Array[] = [];
  private haveBytes = 0;
  private unsent: Unsent[] = [];
  /** Who waits for more to read. */
  private wake: (() => void) | null = null;
  private isReading = false;
  private endWanted = false;
  private peerEnded = false;
  private over: SocketEnd | null = null;
  private settleClosed: (reason: SocketEnd) => void = () => {};

  constructor(context: TestContext, stream: TestStream, own: string, peer: string) {
    this.context = context;
    this.stream = stream;
    this.own = own;
    this.peer = peer;
    this.closed = new Promise((resolve) => {
      this.settleClosed = resolve;
    });
  }

  /**
   * Sends a copy of `data`, text as UTF-8. Resolves when the connection has taken all of it, which may be before it has
   * been sent; what is written meanwhile goes behind. Rejects with a ConnectionError when that cannot be any more.
   */
  write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === 'string' ? utf8Bytes(data) : Uint8Array.from(data);
    const done = this.context.waits.wait<void>(`${this.label} writes`, (resolve, reject) => {
      if (this.over !== null) throw new ConnectionError(`${this.label} writes`, this.over);
      if (this.endWanted) throw new Error(`${this.label} writes after end()`);
      this.unsent.push({ bytes, sent: 0, resolve, reject });
      this.writable();
    });
    // Who does not wait for it hears of the end by reading, or by `closed`.
    done.catch(() => {});
    return done;
  }

  /**
   * Exactly `length` bytes. Rejects where the peer ends before that, and with a ConnectionError where the connection
   * breaks; what had come can still be read then. One read at a time.
   */
  read(length: number): Promise<Uint8Array> {
    return this.reading(async () => {
      while (this.haveBytes < length) {
        if (!(await this.more())) {
          throw new Error(`${this.label} has ended after ${this.haveBytes} of ${length} bytes`);
        }
      }
      return this.cut(length);
    });
  }

  /** What is there, a byte at least; null when the peer has ended. */
  readSome(): Promise<Uint8Array | null> {
    return this.reading(async () => {
      while (this.haveBytes === 0) if (!(await this.more())) return null;
      return this.cut(this.haveBytes);
    });
  }

  /** Everything up to the peer's end. Rejects when that is more than `most` bytes. */
  readAll(most = DEFAULT_MOST): Promise<Uint8Array> {
    return this.reading(async () => {
      do this.limit(most);
      while (await this.more());
      return this.cut(this.haveBytes);
    });
  }

  /** The same as text. */
  async readText(most = DEFAULT_MOST): Promise<string> {
    return textOf(await this.readAll(most));
  }

  /** Text up to and with `mark`, such as an empty line. Rejects where the peer ends before it, or after `most` bytes. */
  readUntil(mark: string, most = 65536): Promise<string> {
    const wanted = utf8Bytes(mark);
    return this.reading(async () => {
      for (let from = 0; ; ) {
        const at = indexOf(this.joined(), wanted, from);
        if (at >= 0) return textOf(this.cut(at + wanted.length));
        from = Math.max(0, this.haveBytes - wanted.length + 1);
        this.limit(most);
        if (!(await this.more())) throw new Error(`${this.label} has ended before ${JSON.stringify(mark)}`);
      }
    });
  }

  /** Each piece as it comes, up to the peer's end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (let piece = await this.readSome(); piece !== null; piece = await this.readSome()) yield piece;
  }

  /** FIN behind what was written. Reading goes on. Idempotent. */
  end(): void {
    this.endWanted = true;
    if (this.unsent.length === 0 && this.over === null) this.stream.end();
  }

  /** RST now. Idempotent. */
  reset(): void {
    if (this.over !== null) return;
    this.stream.reset();
    this.onOver('aborted');
  }

  /** Is it over, and not because both sides have ended? */
  get isBroken(): boolean {
    return this.over !== null && this.over !== 'normal';
  }

  // What the connection says.

  /** There is more to take. */
  onReadable(): void {
    this.wake?.();
  }

  /** There is room again. */
  writable(): void {
    for (let first = this.unsent[0]; first !== undefined; first = this.unsent[0]) {
      first.sent += this.stream.write(first.bytes.subarray(first.sent));
      if (first.sent < first.bytes.length) return;
      this.unsent.shift();
      first.resolve();
    }
    if (this.endWanted && this.over === null) this.stream.end();
  }

  /** FIN from the peer. */
  onEnd(): void {
    this.peerEnded = true;
    this.wake?.();
  }

  /** The last call. What has come is taken now, if it was not before. */
  onOver(reason: SocketEnd): void {
    if (this.over !== null) return;
    if (reason !== 'aborted') this.take();
    this.over = reason;
    for (const { reject } of this.unsent) reject(new ConnectionError(`${this.label} writes`, reason));
    this.unsent = [];
    this.wake?.();
    this.settleClosed(reason);
  }

  private get label(): string {
    return `${this.own} to ${this.peer}`;
  }

  private async reading<T>(read: () => Promise<T>): Promise<T> {
    if (this.isReading) throw new Error(`${this.label}: one read at a time`);
    this.isReading = true;
    try {
      return await read();
    } finally {
      this.isReading = false;
    }
  }

  /** Waits until there are more bytes than before. False when none will come; throws when the connection has broken. */
  private async more(): Promise<boolean> {
    const before = this.haveBytes;
    for (;;) {
      if (this.over === null) this.take();
      if (this.haveBytes > before) return true;
      const { over } = this;
      if (over !== null && this.isBroken) throw new ConnectionError(`${this.label} reads`, over);
      if (this.peerEnded || over !== null) return false;
      await this.context.waits.wait<void>(`${this.label} reads`, (resolve) => {
        this.wake = resolve;
      });
      this.wake = null;
    }
  }

  private take(): boolean {
    const bytes = this.stream.take();
    if (bytes === null) return false;
    this.have.push(bytes);
    this.haveBytes += bytes.length;
    return true;
  }

  private limit(most: number): void {
    if (this.haveBytes > most) throw new Error(`${this.label} has read more than ${most} bytes`);
  }

  private joined(): Uint8Array {
    if (this.have.length !== 1) {
      const all = new Uint8Array(this.haveBytes);
      let at = 0;
      for (const piece of this.have) {
        all.set(piece, at);
        at += piece.length;
      }
      this.have = [all];
    }
    return this.have[0]!;
  }

  /** The first `length` bytes of what is there. */
  private cut(length: number): Uint8Array {
    const all = this.joined();
    this.haveBytes -= length;
    this.have = this.haveBytes > 0 ? [all.subarray(length)] : [];
    return all.subarray(0, length);
  }
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  for (let at = from; at + wanted.length <= bytes.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

function textOf(bytes: Uint8Array): string {
  return utf8Text(viewOf(bytes), 0, bytes.length);
}
