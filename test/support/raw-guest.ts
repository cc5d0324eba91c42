// A guest of which a test says every byte. Its link hands a frame to the network at once, in a turn of its own, keeps
// what the network sends, and has no room when it is told so.

import { Account } from '../../src/base/arena.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { PlayedHost } from '../../src/host/played-host.ts';
import type { Link, LinkHost, LinkSink } from '../../src/link/link.ts';
import type { NetworkConfig } from '../../src/network/config.ts';
import { createNetwork, type Network } from '../../src/network/network.ts';
import { ACK, isTcp, readTcp, SYN, type TcpFields, tcp } from './raw-frames.ts';
import { SeededRandom } from './seeded-random.ts';

const ROOM = 65536;

export class RawLink implements Link {
  readonly name: string;
  readonly maxFrame: number;
  /** What the network has sent. */
  readonly frames: Buffer[] = [];
  /** True: reserve() says no. */
  full = false;
  private host: LinkHost | null = null;
  private sink: LinkSink | null = null;
  private readonly account = new Account();
  private inAt = -1;
  private outAt = -1;

  constructor(name: string, maxFrame = 1514) {
    this.name = name;
    this.maxFrame = maxFrame;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    this.sink = sink;
    this.host = host;
    this.inAt = host.arena.take(ROOM, this.account);
    this.outAt = host.arena.take(ROOM, this.account);
  }

  /** The guest sends `frames`, each in a turn of its own. */
  sends(...frames: Uint8Array[]): void {
    const { host, sink } = this;
    if (host === null || sink === null) throw new Error('the link is not attached');
    for (const frame of frames) {
      host.turn.run(() => {
        host.arena.memory.bytes.set(frame, this.inAt);
        sink.onFrame(this.inAt, frame.length);
      });
    }
  }

  /** What the network has sent so far, forgotten by asking. */
  takes(): Buffer[] {
    return this.frames.splice(0);
  }

  /** The guest pulls the cable out. */
  goesDown(reason = 'unplugged'): void {
    this.host?.turn.run(() => this.sink?.onLinkDown(reason));
  }

  /** There is room again. */
  hasRoom(): void {
    this.full = false;
    this.host?.turn.run(() => this.sink?.onLinkWritable());
  }

  reserve(): number {
    return this.full ? -1 : this.outAt;
  }

  commit(len: number): void {
    const { bytes } = this.host!.arena.memory;
    this.frames.push(Buffer.from(bytes.subarray(this.outAt, this.outAt + len)));
  }

  send(off: number, len: number): boolean {
    if (this.full) return false;
    this.frames.push(Buffer.from(this.host!.arena.memory.bytes.subarray(off, off + len)));
    return true;
  }

  flush(): void {}

  /** Frames still come afterwards, if a test wants it: from a guest that has not heard of it. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  get lastTcp(): ReturnType<typeof readTcp> {
    const frame = this.frames.filter(isTcp).at(-1);
    if (frame === undefined) throw new Error('no segment yet');
    return readTcp(frame);
  }
}

/** A network with one raw guest. */
export class RawBench {
  readonly clock = new ManualClock();
  readonly host = new PlayedHost();
  readonly network: Network;
  readonly link: RawLink;
  private readonly wrap: (link: Link) => Link;

  /** `wrap`: what is attached in the place of each link. */
  constructor(config: NetworkConfig = {}, maxFrame = 1514, wrap = (link: Link): Link => link) {
    const makeView = (buffer: ArrayBuffer): Buffer => Buffer.from(buffer);
    const { clock, host } = this;
    this.network = createNetwork(config, { clock, host, random: new SeededRandom(7), makeView });
    this.wrap = wrap;
    this.link = this.plug('raw0', maxFrame);
  }

  plug(name: string, maxFrame = 1514): RawLink {
    const link = new RawLink(name, maxFrame);
    this.network.attach(this.wrap(link));
    return link;
  }

  /** Another link of the same network. */
  sends(...frames: Uint8Array[]): this {
    this.link.sends(...frames);
    return this;
  }

  /**
   * A connection from `sport` to 10.0.2.2 port 80, both sides ready: what the next segment of the guest says, unless
   * it says otherwise.
   */
  connected(sport = 5000): TcpFields {
    this.sends(tcp({ sport, seq: 1000, flags: SYN }));
    this.host.stream.open();
    this.clock.runSoon();
    const ack = (this.link.lastTcp.seq + 1) >>> 0;
    const fields: TcpFields = { sport, seq: 1001, ack, flags: ACK };
    this.sends(tcp(fields));
    return fields;
  }
}
