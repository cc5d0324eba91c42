// One guest on QEMU's `-netdev stream` or `-netdev socket`: a unix or TCP connection with a length before each frame.
//
// The socket reads into the link's receive buffer in the arena, and frames are passed on where they lie. What goes on from
// there, and what goes to the guest, is in stream-link.ts.

import type { Socket } from 'node:net';
import type { Region } from '../base/region.ts';
import { MAX_STREAM_FRAME } from '../link/framing.ts';
import { arenaView } from './arena-view.ts';
import { writeQuickly } from './quick-write.ts';
import { StreamLink } from './stream-link.ts';
import { takeOver } from './take-over.ts';

/** The longest IP packet, an Ethernet header and a VLAN tag. */
const MAX_FRAME = 65535 + 14 + 4;

export class QemuStreamLink extends StreamLink {
  readonly maxFrame = MAX_FRAME;
  /** Called once, when the socket is closed and the sink, if there is one, has been told. */
  private readonly onGone: () => void;
  private socket: Socket;
  private readonly canTakeOver: boolean;
  private place: Buffer | null = null;
  private placeOff = -1;
  /** The rest of a 'data' chunk; only without takeOver(). */
  private chunk: Buffer | null = null;

  /** `socket` is connected and paused, and has not read a byte. It is the link's from here on. */
  constructor(name: string, socket: Socket, canTakeOver: boolean, onGone: () => void) {
    super(name);
    this.socket = socket;
    this.canTakeOver = canTakeOver;
    this.onGone = onGone;
    this.listen();
  }

  close(): Promise<void> {
    this.fail('closed');
    return this.gone;
  }

  /** Moves the connection to a socket that reads into the receive buffer, and starts it. */
  protected beginReading(): void {
    const own = this.canTakeOver
      ? takeOver(this.unlisten(), { buffer: this.nextPlace, callback: this.onBytes })
      : this.unlisten();
    if (own !== null) this.socket = own;
    this.listen();
    if (!this.canTakeOver) this.socket.on('data', this.onChunk);
    // Without a connection the socket that it had is closing, and says so.
    if (own === null) this.socket.destroy();
    else this.socket.resume();
  }

  protected write({ off, len }: Region): boolean {
    return writeQuickly(this.socket, arenaView(this.attached!.host.arena.memory, off, len), this);
  }

  private listen(): void {
    this.socket.on('end', this.onEnd);
    this.socket.on('error', this.onError);
    this.socket.on('close', this.onClose);
  }

  private unlisten(): Socket {
    this.socket.off('end', this.onEnd);
    this.socket.off('close', this.onClose);
    return this.socket;
  }

  private fail(reason: string): void {
    if (this.reason !== null) return;
    this.reason = reason;
    this.attached?.deframer.stop();
    this.socket.destroy();
  }

  /** Asked for right after each read, and after the last one too: the buffer is the link's until 'close'. */
  private readonly nextPlace = (): Buffer => {
    const { host, deframer } = this.attached!;
    const { readOff, room } = deframer;
    // Mostly the same one: a view costs more than asking.
    if (this.place === null || this.placeOff !== readOff) {
      this.place = arenaView(host.arena.memory, readOff, room);
      this.placeOff = readOff;
    }
    return this.place;
  };

  private readonly onBytes = (count: number): boolean => {
    this.take(count);
    if (this.attached!.deframer.hasMore) this.goOnSoon();
    return this.reason === null && !this.attached!.deframer.hasMore;
  };

  private goOnSoon(): void {
    this.attached!.host.clock.soon(this.goOn);
  }

  private readonly goOn = (): void => {
    if (this.reason !== null) return;
    this.takeOn();
    if (this.attached!.deframer.hasMore) this.goOnSoon();
    else if (this.chunk !== null) this.takeChunk();
    else if (!this.isGone) this.socket.resume();
  };

  protected failForLength(): void {
    this.fail(`a frame of more than ${MAX_STREAM_FRAME} bytes: the other side does not speak QEMU's stream`);
  }

  /** Without takeOver(). */
  private readonly onChunk = (chunk: Buffer): void => {
    this.chunk = chunk;
    this.takeChunk();
  };

  /** The chunk is copied to where it would have been read to, as much of it as can be passed on. */
  private takeChunk(): void {
    let goesOn = true;
    while (goesOn && this.chunk !== null) {
      const place = this.nextPlace();
      const count = this.chunk.copy(place, 0, 0, Math.min(this.chunk.length, place.length));
      this.chunk = count < this.chunk.length ? this.chunk.subarray(count) : null;
      goesOn = this.onBytes(count);
    }
    if (this.reason !== null) this.chunk = null;
    else if (goesOn) this.socket.resume();
    else this.socket.pause();
  }

  private readonly onEnd = (): void => {
    this.fail('the other side closed the connection');
  };

  private readonly onError = (error: Error): void => {
    this.fail(error.message);
  };

  private readonly onClose = (): void => {
    this.connectionClosed('the connection was closed');
    this.onGone();
  };
}
