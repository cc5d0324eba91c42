import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Endpoint } from '../../src/base/addr.ts';
import { parseIp } from '../../src/base/addr.ts';
import { Account } from '../../src/base/arena.ts';
import { Region } from '../../src/base/region.ts';
import type {
  HostContext,
  HostDatagramEvents,
  HostError,
  HostStream,
  HostStreamEvents,
} from '../../src/host/host-network.ts';

/** Listens to a HostStream as a flow does: with places of its own to read to if it has some, and a record of all. */
export class StreamRecord implements HostStreamEvents {
  stream: HostStream | null = null;
  readonly events: string[] = [];
  received = 0;
  /** Bytes that landed in a place of ours, and on the pad. */
  inPlace = 0;
  onPad = 0;
  readonly digest = createHash('sha256');
  readonly chunks: Buffer[] = [];
  closed: HostError | null | 'open' = 'open';
  keepChunks = true;
  /** What onRead answers. */
  wantMore: () => boolean = () => true;
  onWrite: () => void = () => {};
  onEach: () => void = () => {};
  /** Where the next reads land; `len` 0: the pad. */
  readonly place = new Region();
  private handedOut = 0;
  private readonly context: HostContext;
  private wake: (() => void)[] = [];

  constructor(context: HostContext) {
    this.context = context;
  }

  onOpen(): void {
    this.note('open');
  }

  reserveRead(region: Region): void {
    region.off = this.place.off;
    region.len = this.place.len;
    this.handedOut = region.len === 0 ? 0 : region.off;
  }

  onRead(off: number, len: number): boolean {
    if (this.handedOut !== 0 && off === this.handedOut) this.inPlace += len;
    else this.onPad += len;
    const bytes = this.context.arena.memory.bytes.subarray(off, off + len);
    this.received += len;
    this.digest.update(bytes);
    if (this.keepChunks) this.chunks.push(Buffer.from(bytes));
    this.onEach();
    this.note('read');
    return this.wantMore();
  }

  onWritten(): void {
    this.onWrite();
    this.note('written');
  }

  onEnd(): void {
    this.note('end');
  }

  onClose(error: HostError | null): void {
    this.closed = error;
    this.note(`close ${error}`);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  /** What happened, without the reads and writes. */
  get story(): string[] {
    return this.events.filter((event) => event !== 'read' && event !== 'written');
  }

  /** Resolves once `condition` holds after an event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.wake.push(resolve));
  }

  private note(event: string): void {
    this.events.push(event);
    const { wake } = this;
    this.wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Listens to a HostDatagrams. */
export class DatagramRecord implements HostDatagramEvents {
  readonly datagrams: { text: string; length: number; from: Endpoint }[] = [];
  readonly errors: HostError[] = [];
  private wake: (() => void)[] = [];

  onDatagram(data: Uint8Array, from: Endpoint): void {
    const text = Buffer.from(data.subarray(0, 40)).toString('latin1');
    this.datagrams.push({ text, length: data.length, from });
    this.note();
  }

  onError(error: HostError): void {
    this.errors.push(error);
    this.note();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.wake.push(resolve));
  }

  private note(): void {
    const { wake } = this;
    this.wake = [];
    for (const resolve of wake) resolve();
  }
}

/** A block of the arena for a test's bytes. */
export function takeBlock(context: HostContext, bytes: number): number {
  const off = context.arena.take(bytes, new Account());
  if (off < 0) throw new Error('the arena of this test is too small');
  return off;
}

/** An endpoint from text: `at('127.0.0.1', 80)`. */
export function at(address: string, port: number): Endpoint {
  return { addr: parseIp(address)!, port };
}

/** Everything the other side sends, until it ends. */
export function readAll(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', reject);
  });
}
