// A connection of the embedded guest as a TestSocket: what happens to it is told there.

import { formatEndpoint } from '../base/addr.ts';
import type { GuestClose, GuestSocket, GuestSocketEvents } from './tcp-socket.ts';
import { TestSocket, type TestStream } from './test-socket.ts';
import type { SocketEnd, TestContext } from './test-waits.ts';

export class GuestStream implements TestStream, GuestSocketEvents {
  readonly test: TestSocket;
  /** The handshake is complete. */
  onReady: () => void = () => {};
  /** The last call: the connection is over. */
  onOver: (reason: SocketEnd) => void = () => {};
  private socket: GuestSocket;

  constructor(context: TestContext, socket: GuestSocket) {
    this.socket = socket;
    this.test = new TestSocket(context, this, formatEndpoint(socket.own), formatEndpoint(socket.peer));
  }

  // TestStream

  write(bytes: Uint8Array): number {
    return this.socket.write(bytes);
  }

  take(): Uint8Array | null {
    const { readable } = this.socket;
    if (readable === 0) return null;
    const bytes = new Uint8Array(readable);
    this.socket.read(bytes);
    return bytes;
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.reset();
    this.onOver('aborted');
  }

  /** The guest is switched off. */
  drop(): void {
    this.test.onOver('down');
    this.onOver('down');
  }

  // GuestSocketEvents

  onOpen(): void {
    this.onReady();
  }

  onReadable(): void {
    this.test.onReadable();
  }

  onWritable(): void {
    this.test.writable();
  }

  onEnd(): void {
    this.test.onEnd();
  }

  onClose(_socket: GuestSocket, reason: GuestClose): void {
    this.test.onOver(reason);
    this.onOver(reason);
  }
}
