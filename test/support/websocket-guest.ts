// An emulator in a page, for tests: an embedded guest whose cable is a WebSocket, a message for each frame.

import { once } from 'node:events';
import { WebSocket } from 'ws';
import { Account } from '../../src/base/arena.ts';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createGuestHost } from '../../src/guest/guest-host.ts';
import type { Link, LinkHost, LinkSink } from '../../src/link/link.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { SocketRecord, to } from './guest-bench.ts';

const BLOCK_LEN = 4096;

/** What a guest's frames go over; those for it are given to `onFrame`. */
export interface Cable {
  send(frame: Uint8Array): void;
  onFrame: (frame: Uint8Array) => void;
  close(): void;
}

/** The guest's end of the cable. */
class ClientLink implements Link {
  readonly name = 'browser';
  readonly maxFrame = 1514;
  private readonly cable: Cable;
  private readonly account = new Account();
  private host!: LinkHost;
  private sink!: LinkSink;
  private off = 0;

  constructor(cable: Cable) {
    this.cable = cable;
    cable.onFrame = this.onFrame;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    this.sink = sink;
    this.host = host;
    this.off = host.arena.take(2 * BLOCK_LEN, this.account);
  }

  reserve(): number {
    return this.off;
  }

  commit(len: number): void {
    this.send(this.off, len);
  }

  send(off: number, len: number): boolean {
    this.cable.send(Buffer.from(this.host.arena.memory.bytes.subarray(off, off + len)));
    return true;
  }

  flush(): void {}

  async close(): Promise<void> {
    this.cable.close();
  }

  private readonly onFrame = (frame: Uint8Array): void => {
    this.host.arena.memory.bytes.set(frame, this.off + BLOCK_LEN);
    this.host.turn.run(() => this.sink.onFrame(this.off + BLOCK_LEN, frame.length));
  };
}

export class WebSocketGuest {
  readonly machine: EmbeddedGuest;
  private readonly cable: Cable;

  private constructor(cable: Cable) {
    this.cable = cable;
    const host = createGuestHost(new NodeClock(), 8 << 20, (buffer) => Buffer.from(buffer));
    this.machine = new EmbeddedGuest({ host, random: new NodeRandom(), link: new ClientLink(cable) });
  }

  /** Connects, and asks for a lease. */
  static async boot(url: string): Promise<WebSocketGuest> {
    const ws = new WebSocket(url, { perMessageDeflate: false });
    await once(ws, 'open');
    const cable: Cable = {
      send: (frame) => ws.send(frame),
      onFrame: () => {},
      close: () => ws.terminate(),
    };
    ws.on('message', (data: Buffer, isBinary) => {
      if (isBinary) cable.onFrame(data);
    });
    return WebSocketGuest.bootOver(cable);
  }

  /** The same over what somebody else has connected. */
  static async bootOver(cable: Cable): Promise<WebSocketGuest> {
    const guest = new WebSocketGuest(cable);
    await guest.machine.boot();
    return guest;
  }

  get address(): string {
    return this.machine.lease?.text ?? '';
  }

  /** What comes of a connection: everything the other side says until it ends, or why there is none. */
  async fetch(address: string, port: number, request = ''): Promise<string> {
    const record = new SocketRecord();
    await new Promise<void>((resolve) => {
      record.onEnd = () => resolve();
      const { onClose } = record;
      record.onClose = (socket, reason) => {
        onClose.call(record, socket, reason);
        resolve();
      };
      this.machine.connectTcp(to(address, port), record);
      if (request !== '') record.write(request);
    });
    return record.events.at(-1) === 'open' ? record.text : `${record.events.at(-1)}`;
  }

  close(): void {
    this.machine.close();
    this.cable.close();
  }
}
