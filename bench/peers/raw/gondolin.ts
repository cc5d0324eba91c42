// The network stack of @earendil-works/gondolin for the raw-frame guest. Its package does not export the stack, so the
// file is loaded; it depends on nothing else that needs a newer Node. It is driven as the package drives it: a chunk of
// a socket is written to it, then everything that it has is read, 64 KiB at a time.

import { join } from 'node:path';
import { PIECE, type RawEngine, type ToGuest } from './engine.ts';
import { install, load, published } from './npm.ts';

const PACKAGE = '@earendil-works/gondolin';
/** The newest when this was written; another one may have moved the file. */
const VERSION = '0.12.0';
const STACK = 'dist/src/qemu/network-stack.js';
const READ = 64 * 1024;
const ROOM = 262144;

interface Stack {
  on(event: string, listener: (...args: never[]) => void): void;
  writeToNetwork(data: Buffer): void;
  readFromNetwork(maxLen: number): Buffer | null;
  handleTcpConnected(message: { key: string }): void;
  handleTcpData(message: { key: string; data: Buffer }): void;
}

interface Callbacks {
  onUdpSend(): void;
  onTcpConnect(message: { key: string }): void;
  onTcpSend(message: { key: string; data: Buffer }): void;
  onTcpClose(message: { key: string }): void;
  onTcpPause(message: { key: string }): void;
  onTcpResume(message: { key: string }): void;
}

type StackClass = new (options: { gatewayIP: string; vmIP: string; callbacks: Callbacks }) => Stack;

export class RawGondolin implements RawEngine {
  readonly name = 'gondolin';
  readonly incoming = Buffer.alloc(ROOM);
  hostReceived = 0;
  toGuest: ToGuest = () => {};
  private readonly stack: Stack;
  private readonly piece = Buffer.alloc(PIECE);
  private newest = '';
  private isPaused = false;
  private isFlushing = false;
  private tail: Buffer = Buffer.alloc(0);

  private constructor(NetworkStack: StackClass) {
    this.stack = new NetworkStack({ gatewayIP: '10.0.2.2', vmIP: '10.0.2.15', callbacks: this.callbacks() });
    this.stack.on('network-activity', () => this.flush());
  }

  /** Installs the package below `folder`. */
  static async install(folder: string): Promise<RawGondolin> {
    const stack = join(install(folder, PACKAGE, VERSION), STACK);
    const { NetworkStack } = await load<{ NetworkStack: StackClass }>(stack);
    return new RawGondolin(NetworkStack);
  }

  static version(): string {
    return published(PACKAGE, VERSION);
  }

  take(len: number): void {
    this.stack.writeToNetwork(this.incoming.subarray(0, len));
    this.flush();
  }

  give(): void {
    if (this.isPaused || this.newest === '') return;
    this.stack.handleTcpData({ key: this.newest, data: this.piece });
    this.flush();
  }

  /** Not from inside itself: reading is what makes the stack go on. */
  private flush(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    for (
      let chunk = this.stack.readFromNetwork(READ);
      chunk !== null;
      chunk = this.stack.readFromNetwork(READ)
    )
      this.whole(chunk);
    this.isFlushing = false;
  }

  /** A read ends in the middle of a frame; a socket would join them again. */
  private whole(chunk: Buffer): void {
    const bytes = this.tail.length === 0 ? chunk : Buffer.concat([this.tail, chunk]);
    let end = 0;
    while (end + 4 <= bytes.length && end + 4 + bytes.readUInt32BE(end) <= bytes.length)
      end += 4 + bytes.readUInt32BE(end);
    this.tail = bytes.subarray(end);
    this.toGuest(bytes, 0, end);
  }

  private callbacks(): Callbacks {
    return {
      onUdpSend: () => {},
      onTcpConnect: ({ key }) => {
        this.newest = key;
        this.isPaused = false;
        setImmediate(() => this.stack.handleTcpConnected({ key }));
      },
      onTcpSend: ({ data }) => {
        this.hostReceived += data.length;
      },
      onTcpClose: () => {},
      onTcpPause: () => {
        this.isPaused = true;
      },
      onTcpResume: () => {
        this.isPaused = false;
      },
    };
  }
}
