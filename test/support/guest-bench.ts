// A whole network in one process: the engine, a host that the test plays, a clock that it moves, and embedded guests on
// cables in memory. Every frame on a cable is kept as the line that wire/describe.ts makes of it.

import { type Endpoint, parseIp } from '../../src/base/addr.ts';
import type { Clock, Ms } from '../../src/base/clock.ts';
import { NEVER } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { EmbeddedGuest, type GuestOptions, type Lease } from '../../src/guest/guest.ts';
import { createGuestHost } from '../../src/guest/guest-host.ts';
import type { GuestClose, GuestSocket, GuestSocketEvents } from '../../src/guest/tcp-socket.ts';
import { PlayedHost } from '../../src/host/played-host.ts';
import { captureLink } from '../../src/link/capture.ts';
import type { Link } from '../../src/link/link.ts';
import { createPair } from '../../src/link/pair.ts';
import type { NetworkConfig } from '../../src/network/config.ts';
import type { EventHandlers, FlowEnded } from '../../src/network/events.ts';
import { createNetwork, type Network } from '../../src/network/network.ts';
import { describeFrame } from '../../src/wire/describe.ts';
import { SeededRandom } from './seeded-random.ts';

export interface PlugOptions extends Partial<Omit<GuestOptions, 'host' | 'link'>> {
  /** Default 1514. */
  readonly maxFrame?: number;
  /** Memory and turns of its own, as a machine behind an emulator's cable has them. */
  readonly alone?: boolean;
  /** What is between the network's end of the cable and the network. */
  readonly wrap?: (link: Link) => Link;
}

export class NetworkBench {
  readonly clock = new ManualClock();
  readonly host = new PlayedHost();
  readonly network: Network;
  readonly random = new SeededRandom(1);
  /** `> ` from a guest, `< ` to one, and the frame. */
  readonly lines: string[] = [];
  keepLines = true;
  readonly ended: FlowEnded[] = [];
  readonly guests: EmbeddedGuest[] = [];
  private readonly clocks: SplitClock;

  constructor(config: NetworkConfig = {}, events: EventHandlers = {}) {
    this.clocks = new SplitClock(this.clock);
    this.network = createNetwork(config, {
      clock: this.clocks.part(),
      random: this.random,
      host: this.host,
      makeView: (buffer) => Buffer.from(buffer),
      on: { ...events, 'flow-end': (flow) => this.ended.push(flow) },
    });
  }

  /** A guest without an address on a cable of its own. */
  plug(name: string, options: PlugOptions = {}): EmbeddedGuest {
    const { maxFrame = 1514, alone = false, wrap = (link) => link, ...rest } = options;
    const pair = createPair(name, maxFrame);
    this.network.attach(
      captureLink(wrap(pair.link), {
        record: (direction, memory, off, len) => {
          if (!this.keepLines) return;
          this.lines.push(`${direction === 'from-guest' ? '>' : '<'} ${describeFrame(memory, off, len)}`);
        },
      }),
    );
    const host = alone
      ? createGuestHost(this.clocks.part(), 8 << 20, (buffer) => Buffer.from(buffer))
      : this.network;
    const guest = new EmbeddedGuest({ host, random: this.random, link: pair.peer, ...rest });
    this.guests.push(guest);
    return guest;
  }

  /** The same with a lease. */
  async boot(name = 'guest0', options: PlugOptions = {}): Promise<EmbeddedGuest> {
    const guest = this.plug(name, options);
    await this.lease(guest);
    return guest;
  }

  async lease(guest: EmbeddedGuest, ms = 100): Promise<Lease> {
    const lease = guest.boot();
    lease.catch(() => {});
    this.clock.advance(ms);
    return lease;
  }

  /** Lines with `text` in them. */
  seen(text: string): string[] {
    return this.lines.filter((line) => line.includes(text));
  }

  /** Everything is closed: is anything left? */
  async close(): Promise<{ flows: number; timers: number; arena: number }> {
    for (const guest of this.guests) guest.close();
    this.clock.runSoon();
    const closed = this.network.close();
    this.clock.runSoon();
    await closed;
    this.clock.runSoon();
    const { flows, timers, arena } = this.network.stats();
    return { flows: flows.tcp + flows.udp, timers, arena: arena.used };
  }

  /** Makes the network's next initial sequence numbers `iss`. */
  forceIss(iss: number): void {
    const inner = this.network as unknown as { nat: { context: { isn: { next(): number } } } };
    inner.nat.context.isn.next = () => iss | 0;
  }
}

/** An endpoint from text: `to('10.0.2.2', 80)`. */
export function to(address: string, port: number): Endpoint {
  return { addr: parseIp(address)!, port };
}

/** A user of a connection who writes down what happens and reads all that comes. */
export class SocketRecord implements GuestSocketEvents {
  readonly events: string[] = [];
  readonly chunks: Uint8Array[] = [];
  /** False: what comes stays where it is. */
  reads = true;
  socket: GuestSocket | null = null;
  private readonly pending: Uint8Array[] = [];

  onOpen(socket: GuestSocket): void {
    this.socket = socket;
    this.events.push('open');
    this.flush();
  }

  onReadable(socket: GuestSocket): void {
    if (!this.reads) return;
    const chunk = new Uint8Array(socket.readable);
    socket.read(chunk);
    this.chunks.push(chunk);
  }

  onWritable(): void {
    this.flush();
  }

  onEnd(): void {
    this.events.push('end');
  }

  onClose(socket: GuestSocket, reason: GuestClose): void {
    this.reads = true;
    if (socket.readable > 0) this.onReadable(socket);
    this.events.push(reason);
  }

  /** Sends all of it, as room comes. */
  write(bytes: Uint8Array | string): void {
    this.pending.push(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    this.flush();
  }

  get isAllWritten(): boolean {
    return this.pending.length === 0;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  private flush(): void {
    while (this.socket !== null && this.pending.length > 0) {
      const first = this.pending[0]!;
      const taken = this.socket.write(first);
      if (taken === first.length) this.pending.shift();
      else {
        this.pending[0] = first.subarray(taken);
        return;
      }
    }
  }
}

/** Several clocks with an alarm each, on one. */
export class SplitClock {
  private readonly clock: Clock;
  private readonly alarms: { at: Ms; wake: () => void }[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  part(): Clock {
    const alarm = { at: NEVER, wake: () => {} };
    this.alarms.push(alarm);
    return {
      now: () => this.clock.now(),
      micros: () => this.clock.micros(),
      wallNow: () => this.clock.wallNow(),
      soon: (wake, notBefore) => this.clock.soon(wake, notBefore),
      setAlarm: (at, wake) => {
        alarm.at = at;
        alarm.wake = wake;
        this.arm();
      },
    };
  }

  private arm(): void {
    this.clock.setAlarm(Math.min(...this.alarms.map((alarm) => alarm.at)), () => this.ring());
  }

  private ring(): void {
    const now = this.clock.now();
    for (const alarm of this.alarms) {
      if (alarm.at > now) continue;
      alarm.at = NEVER;
      alarm.wake();
    }
    this.arm();
  }
}
