// A machine in v86, an emulator of a PC in JavaScript, as a guest: an embedder's port (frame-port.ts) on v86's bus, where a
// frame that the guest sends is `net0-send` and one that it gets is `net0-receive`.
//
// From the guest: frames come in the middle of the guest's own instructions. Those of ne2k are views of the card's memory,
// overwritten by the next frame; the port copies each into the arena and passes it on in a later turn.
// To the guest: frames are lent where they lie in the arena, for v86 copies them itself, once: into the memory of the ne2k
// card, into that of the guest for virtio. No listener of v86's keeps one.
//
// The card drops what it has no room for and tells nobody, so it is looked at before each frame (v86-card.ts). Where it is full
// the frames wait, and the engine for them, until it has been read. Nothing says when that is: the card is looked at again
// each time the event loop has been around, which is how v86 shares the thread, and where a guest does not read for
// longer, as one that is stopped, by a timer that doubles its time. A guest that sends is one that reads.
//
// restore_state() sets the machine back to where none of what has come about since exists, or all of it is about to
// happen again. For the network that is another machine with the same address: the cable is pulled out and plugged in
// again. So the flows of before end, also at the host; what the guest takes for open connections is answered with a
// reset as soon as it says something; its lease stays its own.

import { NEVER } from '../base/clock.ts';
import { Timer } from '../base/timers.ts';
import { FramePort } from './frame-port.ts';
import type { Link, LinkHost, LinkLosses, LinkSink } from './link.ts';
import { V86Card, type V86Emulator } from './v86-card.ts';

/** The network that a machine is plugged into. */
export interface V86Network {
  /** As a Network's attach(). */
  attach(link: Link): void;
}

export interface V86LinkOptions {
  /** For logs and statistics; unique in one network. 'v86' if not said. */
  readonly name?: string | undefined;
  /** Puts a link around the machine's, as captureLink() and faultyLink() do. Called again after restore_state(). */
  readonly around?: ((link: Link) => Link) | undefined;
  /** The emulator threw over a frame, or has turned out to have no card. Its own errors are nobody's. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** The cable between a network and a machine. */
export interface V86Cable {
  /** Pulls it out: the guest's flows end, and the emulator is as it was before. Idempotent. */
  close(): Promise<void>;
  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Frames lost between network and machine. */
export interface V86Losses extends LinkLosses {
  /** From the guest: longer than its card's longest, or more at a time than there is room for. */
  readonly fromGuest: number;
}

/**
 * Plugs a machine in v86 into `network`: `attachV86(network, new V86({ net_device: { type: 'virtio' }, ... }))`. The emulator
 * needs a network card, by type, and no `relay_url`; it may be at any stage of its life. Throws an Error that says so where it
 * has one or has a cable already, and as attach() of a network does. The cable is closed with the network, or with destroy().
 */
export function attachV86(
  network: V86Network,
  emulator: V86Emulator,
  options: V86LinkOptions = {},
): V86Cable {
  return new Cable(network, emulator, options);
}

/** What an emulator with a cable has its name under, also where there are two copies of this module. */
const CABLE = Symbol.for('usernet.v86');
type Marked = V86Emulator & { [CABLE]?: string };

class Cable implements V86Cable {
  private readonly network: V86Network;
  private readonly emulator: Marked;
  private readonly options: V86LinkOptions;
  private readonly name: string;
  private readonly unwrap: (() => void)[] = [];
  private link: V86Link | null = null;

  constructor(network: V86Network, emulator: Marked, options: V86LinkOptions) {
    this.network = network;
    this.emulator = emulator;
    this.options = options;
    this.name = options.name ?? 'v86';
    const wrong = this.wrong();
    if (wrong !== null) throw new Error(`attachV86: ${wrong}`);
    this.plug();
    emulator[CABLE] = this.name;
    this.unwrap = [
      after(emulator, 'restore_state', () => this.restored()),
      after(emulator, 'destroy', () => void this.close()),
    ];
    emulator.add_listener('emulator-ready', this.onReady);
  }

  close(): Promise<void> {
    return this.link?.close() ?? Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private plug(): void {
    const { name, options } = this;
    const link = new V86Link(this.emulator, name, options.onError, () => this.linkClosed(link));
    this.network.attach(options.around?.(link) ?? link);
    this.link = link;
  }

  private restored(): void {
    const { link } = this;
    if (link === null) return;
    // Not linkClosed(): the emulator keeps its cable.
    this.link = null;
    void link.close();
    try {
      this.plug();
    } catch (error) {
      this.letGo();
      report(this.options.onError, error);
    }
  }

  private linkClosed(link: V86Link): void {
    if (this.link !== link) return;
    this.link = null;
    this.letGo();
  }

  private letGo(): void {
    const { emulator } = this;
    emulator.remove_listener('emulator-ready', this.onReady);
    for (const undo of this.unwrap) undo();
    delete emulator[CABLE];
  }

  /** What is wrong with the emulator, as far as it can be seen. */
  private wrong(): string | null {
    const { emulator } = this;
    if (emulator[CABLE] !== undefined)
      return `the emulator has a cable already, ${emulator[CABLE]}: close() that first`;
    if (emulator.bus === undefined) return 'the emulator has no bus: it is no instance of V86';
    if (emulator.network_adapter !== undefined && emulator.network_adapter !== null)
      return 'the emulator has a network of its own: leave out net_device.relay_url';
    if (new V86Card(emulator).isMissing)
      return "the emulator has no network card: give it net_device: { type: 'ne2k' } or { type: 'virtio' }";
    return null;
  }

  private readonly onReady = (): void => {
    const { [CABLE]: name } = this.emulator;
    delete this.emulator[CABLE];
    const wrong = this.wrong();
    if (name !== undefined) this.emulator[CABLE] = name;
    if (wrong !== null) report(this.options.onError, new Error(`attachV86: ${wrong}`));
  };
}

/** So many looks at a full card before the time between them grows, and how far. */
const QUICK_LOOKS = 16;
const MAX_PAUSE_MS = 64;

class V86Link extends FramePort {
  private readonly emulator: V86Emulator;
  private readonly onError: V86LinkOptions['onError'];
  private readonly onClosed: () => void;
  private host: LinkHost | null = null;
  private readonly counts: { whileDown: number; refused: number; fromGuest: number };
  private lookAsked = false;
  /** Looks at a full card since it took a frame, or its guest sent one. */
  private looks = 0;
  private readonly pause = new Timer(() => this.ready());

  constructor(emulator: V86Emulator, name: string, onError: V86LinkOptions['onError'], onClosed: () => void) {
    const card = new V86Card(emulator);
    const counts = { whileDown: 0, refused: 0, fromGuest: 0 };
    super({
      ...{ name, maxFrame: card.maxFrame },
      toGuest: (frame) => this.give(card, frame),
      onThrow: (error) => {
        counts.refused++;
        report(onError, error);
      },
      onLost: () => void counts.fromGuest++,
    });
    this.emulator = emulator;
    this.onError = onError;
    this.onClosed = onClosed;
    this.counts = counts;
  }

  override get losses(): V86Losses | undefined {
    const { whileDown, refused, fromGuest } = this.counts;
    return whileDown + refused + fromGuest === 0 ? undefined : { whileDown, refused, fromGuest };
  }

  override attach(sink: LinkSink, host: LinkHost): void {
    super.attach(sink, host);
    this.host = host;
    this.emulator.add_listener('net0-send', this.onSend);
    this.emulator.add_listener('emulator-started', this.onStarted);
  }

  override close(): Promise<void> {
    if (this.host !== null) {
      this.emulator.remove_listener('net0-send', this.onSend);
      this.emulator.remove_listener('emulator-started', this.onStarted);
      this.host.timers.disarm(this.pause);
      this.host = null;
      this.onClosed();
    }
    return super.close();
  }

  private give(card: V86Card, frame: Uint8Array): boolean {
    const room = card.room(frame.length);
    if (room === 'full') {
      this.lookAgain();
      return false;
    }
    if (room === 'down') this.counts.whileDown++;
    else if (room === 'never') this.refuse(card, frame.length);
    else {
      this.looks = 0;
      this.emulator.bus!.send('net0-receive', frame);
    }
    return true;
  }

  /** Told of once: the card was not known yet when the network asked how long a frame it takes. */
  private refuse(card: V86Card, length: number): void {
    if (this.counts.refused++ > 0) return;
    const message = `attachV86: a frame of ${length} bytes, and the card takes ${card.maxFrame}: lower the network's mtu`;
    report(this.onError, new Error(message));
  }

  private lookAgain(): void {
    const { host } = this;
    if (host === null || this.lookAsked) return;
    const pauses = ++this.looks - QUICK_LOOKS;
    if (pauses <= 0) {
      this.lookAsked = true;
      host.clock.soon(this.lookSoon);
    } else if (this.pause.at === NEVER) {
      const ms = Math.min(2 ** (pauses - 1), MAX_PAUSE_MS);
      host.timers.arm(this.pause, host.clock.now() + ms);
    }
  }

  private readonly lookSoon = (): void => {
    this.lookAsked = false;
    this.look();
  };

  private readonly look = (): void => {
    this.host?.turn.run(this.tellReady);
  };

  private readonly tellReady = (): void => this.ready();

  private readonly onSend = (frame: Uint8Array): void => {
    this.fromGuest(frame);
    this.onStarted();
  };

  /** The guest runs: who waits for it need not wait for a timer. */
  private readonly onStarted = (): void => {
    this.looks = 0;
    if (this.host === null || this.pause.at === NEVER) return;
    this.host.timers.disarm(this.pause);
    this.lookAgain();
  };
}

/** Calls `then` whenever the emulator's method `name` has resolved. Returns what undoes that. */
function after(emulator: V86Emulator, name: 'restore_state' | 'destroy', then: () => void): () => void {
  const methods = emulator as unknown as { [method: string]: unknown };
  const { [name]: method } = methods;
  const isOwn = Object.hasOwn(emulator, name);
  if (typeof method !== 'function') return () => {};
  const wrapped = async (...args: unknown[]): Promise<unknown> => {
    const result: unknown = await method.apply(emulator, args);
    then();
    return result;
  };
  methods[name] = wrapped;
  return () => {
    // Whoever wrapped it once more keeps what it has.
    if (methods[name] !== wrapped) return;
    if (isOwn) methods[name] = method;
    else delete methods[name];
  };
}

function report(onError: V86LinkOptions['onError'], error: unknown): void {
  try {
    onError?.(error instanceof Error ? error : new Error(String(error)));
  } catch {
    // What a handler of errors throws is nobody's.
  }
}
