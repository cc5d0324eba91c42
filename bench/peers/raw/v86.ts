// The network of v86 for the raw-frame guest: what its `fetch` backend is built on. The emulator is made but not
// started, and frames are given to its adapter as its network card would. The backend itself only speaks HTTP and keeps
// a request back until it is complete; what is measured is its TCP, with a host in the place of fetch().

import { join } from 'node:path';
import { sleep } from '../machine.ts';
import { PIECE, type RawEngine, type ToGuest } from './engine.ts';
import { install, load, published } from './npm.ts';

const PACKAGE = 'v86';
/** The newest when this was written. */
const VERSION = '0.5.462';
const ROOM = 262144;
const PREFIX = 4;
const MAX_FRAME = 1514;

interface Connection {
  readonly send_buffer: { readonly length: number };
  on(event: 'data', listener: (data: Uint8Array) => void): void;
  accept(): void;
  write(data: Uint8Array): void;
}

interface Adapter {
  readonly bus: {
    register(event: 'tcp-connection', listener: (connection: Connection) => void, self: null): void;
  };
  /** A frame from the guest. */
  send(frame: Uint8Array): void;
  /** A frame to the guest. */
  receive(frame: Uint8Array): void;
}

type Emulator = new (options: object) => { readonly network_adapter?: Adapter };

export class RawV86 implements RawEngine {
  readonly name = 'v86';
  readonly incoming = Buffer.alloc(ROOM);
  hostReceived = 0;
  toGuest: ToGuest = () => {};
  private readonly adapter: Adapter;
  private readonly out = Buffer.alloc(PREFIX + MAX_FRAME);
  private readonly piece = new Uint8Array(PIECE);
  private newest: Connection | null = null;

  private constructor(adapter: Adapter) {
    this.adapter = adapter;
    adapter.receive = (frame) => this.frameToGuest(frame);
    adapter.bus.register('tcp-connection', (connection) => this.accept(connection), null);
  }

  /** Installs the package below `folder`. */
  static async install(folder: string): Promise<RawV86> {
    const build = join(install(folder, PACKAGE, VERSION), 'build');
    const { V86 } = await load<{ V86: Emulator }>(join(build, 'libv86.mjs'));
    const emulator = new V86({
      wasm_path: join(build, 'v86.wasm'),
      autostart: false,
      disable_speaker: true,
      net_device: { type: 'ne2k', relay_url: 'fetch', router_ip: '10.0.2.2', vm_ip: '10.0.2.15' },
    });
    // It is there once the WebAssembly is compiled.
    for (let waited = 0; emulator.network_adapter === undefined; waited += 10) {
      if (waited > 10_000) throw new Error('v86 has no network adapter');
      await sleep(10);
    }
    return new RawV86(emulator.network_adapter);
  }

  static version(): string {
    return published(PACKAGE, VERSION);
  }

  /** A copy, as a card makes one: the guest may write to `incoming` while frames are taken. */
  take(len: number): void {
    const frames = Uint8Array.prototype.slice.call(this.incoming, 0, len);
    const view = new DataView(frames.buffer);
    for (let at = 0; at < len; ) {
      const end = at + PREFIX + view.getUint32(at);
      this.adapter.send(frames.subarray(at + PREFIX, end));
      at = end;
    }
  }

  /** It queues whatever it is given; no more than a piece at a time is. */
  give(): void {
    if (this.newest !== null && this.newest.send_buffer.length < PIECE) this.newest.write(this.piece);
  }

  private accept(connection: Connection): void {
    this.newest = connection;
    connection.on('data', (data) => {
      this.hostReceived += data.length;
    });
    connection.accept();
  }

  private frameToGuest(frame: Uint8Array): void {
    this.out.writeUInt32BE(frame.length);
    this.out.set(frame, PREFIX);
    this.toGuest(this.out, 0, PREFIX + frame.length);
  }
}
