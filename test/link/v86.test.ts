import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { captureLink } from '../../src/link/capture.ts';
import type { Link } from '../../src/link/link.ts';
import { attachV86, type V86LinkOptions } from '../../src/link/v86.ts';
import type { V86Emulator } from '../../src/link/v86-card.ts';
import { newHost, pattern, RecordingSink, sameFrames, sendFrame } from '../support/link-bench.ts';

type Listener = (frame: never) => void;

/** As much of v86 as a cable sees: a bus, and one card with the fields that v86's have. */
class FakeV86 {
  readonly got: Buffer[] = [];
  /** What was lent, to look at later. */
  readonly lent: Uint8Array[] = [];
  instructions = 0;
  throws: unknown = null;
  network_adapter: object | undefined;
  v86: { cpu: { devices: Record<string, unknown>; flags?: Int32Array } } | undefined;
  readonly listeners = new Map<string, Listener[]>();
  readonly bus: { send(event: string, frame: Uint8Array): void } | undefined = {
    send: (event: string, frame: Uint8Array) => {
      expect(event).toBe('net0-receive');
      if (this.throws !== null) throw this.throws;
      this.lent.push(frame);
      this.take(frame);
    },
  };

  constructor(devices?: Record<string, unknown>) {
    if (devices !== undefined) this.v86 = { cpu: { devices: { pci: {}, ...devices } } };
  }

  take(frame: Uint8Array): void {
    this.got.push(Buffer.from(frame));
  }

  add_listener(event: string, listener: Listener): void {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  }

  remove_listener(event: string, listener: Listener): void {
    this.listeners.set(
      event,
      (this.listeners.get(event) ?? []).filter((each) => each !== listener),
    );
  }

  tell(event: string, frame?: Uint8Array): void {
    for (const listener of this.listeners.get(event) ?? []) listener(frame as never);
  }

  get heard(): number {
    return [...this.listeners.values()].reduce((sum, list) => sum + list.length, 0);
  }

  get_instruction_counter(): number {
    return this.instructions;
  }

  async restore_state(state: ArrayBuffer): Promise<void> {
    if (state.byteLength === 0) throw new Error('no state');
  }

  async destroy(): Promise<void> {}
}

/** v86's ring of pages, with Linux's borders. */
class FakeNe2k extends FakeV86 {
  readonly card = { cr: 2, pstart: 76, pstop: 128, curpg: 77, boundary: 76, isr: 0, imr: 63 };
  /** Frames that the real card would have dropped, or written over others. */
  spoiled = 0;

  constructor() {
    super();
    this.v86 = { cpu: { devices: { pci: {}, net: this.card } } };
  }

  override take(frame: Uint8Array): void {
    const { card } = this;
    const pages = 1 + ((Math.max(60, frame.length) + 4) >> 8);
    const { boundary, curpg, pstart, pstop } = card;
    const free = boundary > curpg ? boundary - curpg : pstop - curpg + boundary - pstart;
    if (free <= pages) this.spoiled++;
    card.curpg = curpg + pages < pstop ? curpg + pages : curpg + pages - (pstop - pstart);
    super.take(frame);
  }

  /** The guest reads all there is. */
  drain(): void {
    const { card } = this;
    card.boundary = card.curpg === card.pstart ? card.pstop - 1 : card.curpg - 1;
  }
}

class FakeVirtio extends FakeV86 {
  readonly queue = {
    enabled: true,
    avail_addr: 4096,
    used_addr: 8192,
    left: 0,
    count_requests: () => this.queue.left,
  };

  constructor(buffers: number) {
    super();
    this.queue.left = buffers;
    this.v86 = { cpu: { devices: { pci: {}, virtio_net: { virtio: { queues: [this.queue] } } } } };
  }

  override take(frame: Uint8Array): void {
    this.queue.left--;
    super.take(frame);
  }
}

/** A network's side: each link that is attached gets a sink of its own. */
function bench(emulator: FakeV86, options: V86LinkOptions = {}) {
  const host = newHost(new ManualClock());
  const used = host.arena.used;
  const links: Link[] = [];
  const sinks: RecordingSink[] = [];
  let refusal: string | null = null;
  const network = {
    attach(link: Link): void {
      if (refusal !== null) throw new Error(refusal);
      const sink = new RecordingSink(host);
      link.attach(sink, host);
      links.push(link);
      sinks.push(sink);
    },
  };
  const errors: string[] = [];
  const onError = (error: Error): void => void errors.push(error.message);
  const attach = () => attachV86(network, emulator as V86Emulator, { onError, ...options });
  const cable = attach();
  const refuse = (why: string): void => {
    refusal = why;
  };
  const send = (frame: Uint8Array): boolean => sendFrame(links.at(-1)!, host, frame);
  return { host, clock: host.clock, used, links, sinks, errors, network, cable, attach, refuse, send };
}

const full = (seed: number): Buffer => pattern(seed, 1514);

describe('from the guest', () => {
  test('a frame is copied before the emulator goes on, and delivered in a later turn', () => {
    const emulator = new FakeNe2k();
    const { sinks, clock } = bench(emulator);
    const memory = new Uint8Array(2048);
    const frames = [60, 1514, 0, 13].map((len, i) => pattern(i, len));
    for (const frame of frames) {
      memory.set(frame);
      emulator.tell('net0-send', memory.subarray(0, frame.length));
      memory.fill(0xee);
    }
    expect(sinks[0]!.frames.length).toBe(0);
    clock.runSoon();
    expect(sameFrames(sinks[0]!.frames, frames)).toBe(true);
  });

  test('what is longer than its card sends, or finds no room, is lost and counted', () => {
    const emulator = new FakeNe2k();
    const { sinks, links, clock } = bench(emulator);
    emulator.tell('net0-send', new Uint8Array(1515));
    clock.runSoon();
    expect(sinks[0]!.frames.length).toBe(0);
    expect(links[0]!.losses).toEqual({ whileDown: 0, refused: 0, fromGuest: 1 });
    // Two batches of 256 KiB, each frame with four bytes in front.
    for (let i = 0; i < 400; i++) emulator.tell('net0-send', full(i));
    clock.runSoon();
    const fit = 2 * Math.floor(262144 / 1518);
    expect(sinks[0]!.frames.length).toBe(fit);
    expect(links[0]!.losses).toMatchObject({ fromGuest: 1 + 400 - fit });
  });

  test('a guest that sends inside of a frame that it gets is heard later', () => {
    const emulator = new FakeVirtio(8);
    const { sinks, clock, send } = bench(emulator);
    const take = emulator.take.bind(emulator);
    emulator.take = (frame) => {
      take(frame);
      emulator.tell('net0-send', frame.subarray(0, 60));
    };
    send(full(1));
    expect(sinks[0]!.frames.length).toBe(0);
    clock.runSoon();
    expect(sameFrames(sinks[0]!.frames, [full(1).subarray(0, 60)])).toBe(true);
  });
});

describe('to the guest', () => {
  test('frames are lent where they lie in the arena: nothing is copied for the emulator', () => {
    const emulator = new FakeVirtio(8);
    const { host, send } = bench(emulator);
    send(full(1));
    send(full(2));
    expect(sameFrames(emulator.got, [full(1), full(2)])).toBe(true);
    for (const view of emulator.lent) expect(view.buffer).toBe(host.arena.memory.bytes.buffer);
  });

  test('ne2k gets eight full frames and the next ones when the guest has read: none is spoiled, all are in order', () => {
    const emulator = new FakeNe2k();
    const { clock, send } = bench(emulator);
    const frames = Array.from({ length: 100 }, (_, i) => full(i));
    for (const frame of frames) expect(send(frame)).toBe(true);
    expect(emulator.got.length).toBe(8);
    clock.runSoon(1);
    expect(emulator.got.length).toBe(8);
    for (let rounds = 0; emulator.got.length < 100 && rounds < 20; rounds++) {
      emulator.drain();
      clock.advance(64);
    }
    expect(sameFrames(emulator.got, frames)).toBe(true);
    expect(emulator.spoiled).toBe(0);
  });

  test('ne2k gets nothing while the guest takes no interrupts: v86 would lose one for good', () => {
    const emulator = new FakeNe2k();
    const flags = new Int32Array(1);
    emulator.v86 = { cpu: { devices: { pci: {}, net: emulator.card }, flags } };
    const { clock, send } = bench(emulator);
    send(full(1));
    clock.runSoon(4);
    expect(emulator.got.length).toBe(0);
    flags[0] = 0x202;
    clock.runSoon(1);
    expect(emulator.got.length).toBe(1);
    // While it serves one of the card's, another frame makes no other.
    flags[0] = 2;
    send(full(2));
    expect(emulator.got.length).toBe(1);
    emulator.card.isr = 1;
    clock.runSoon(1);
    expect(emulator.got.length).toBe(2);
  });

  test('small frames fill the ring by pages: the last page stays free', () => {
    const emulator = new FakeNe2k();
    const { send } = bench(emulator);
    for (let i = 0; i < 60; i++) send(pattern(i, 60));
    expect(emulator.got.length).toBe(50);
    expect(emulator.spoiled).toBe(0);
  });

  test('virtio gets as many frames as the guest has buffers', () => {
    const emulator = new FakeVirtio(100);
    const { clock, send } = bench(emulator);
    for (let i = 0; i < 150; i++) send(full(i));
    expect(emulator.got.length).toBe(100);
    emulator.queue.left = 1000;
    clock.runSoon(2);
    expect(emulator.got.length).toBe(150);
  });

  test('a card that is not seen gets a burst each time the guest has run', () => {
    const emulator = new FakeV86();
    const { clock, send } = bench(emulator);
    for (let i = 0; i < 20; i++) send(full(i));
    expect(emulator.got.length).toBe(8);
    clock.advance(1000);
    expect(emulator.got.length).toBe(8);
    for (const expected of [16, 20]) {
      emulator.instructions += 1000;
      clock.advance(64);
      expect(emulator.got.length).toBe(expected);
    }
  });

  test('a guest that does not read is looked at ever more seldom, and at once when it sends or starts', () => {
    const emulator = new FakeVirtio(0);
    let asked = 0;
    emulator.queue.count_requests = () => {
      asked++;
      return emulator.queue.left;
    };
    const { clock, send } = bench(emulator);
    send(full(1));
    clock.advance(1000);
    expect(clock.soonCount).toBe(0);
    asked = 0;
    clock.advance(640);
    expect(asked).toBe(10);
    emulator.queue.left = 1;
    emulator.tell('net0-send', pattern(1, 60));
    clock.runSoon();
    expect(emulator.got.length).toBe(1);
    send(full(2));
    clock.advance(1000);
    emulator.queue.left = 1;
    emulator.tell('emulator-started');
    clock.runSoon();
    expect(emulator.got.length).toBe(2);
  });

  test('the queue is bounded, and who was refused hears of room', () => {
    const emulator = new FakeNe2k();
    const { clock, sinks, send } = bench(emulator);
    let taken = 0;
    while (send(full(taken))) taken++;
    expect(taken).toBeGreaterThan(Math.floor(262144 / 1518));
    expect(taken).toBeLessThanOrEqual(8 + 2 * Math.floor(262144 / 1518));
    for (let i = 0; i < 30; i++) {
      emulator.drain();
      clock.advance(64);
    }
    expect(sinks[0]!.writable).toBe(1);
    expect(send(full(0))).toBe(true);
  });

  test('a card that is down, and a frame too long for it, lose frames: counted, and nothing waits behind', () => {
    const emulator = new FakeNe2k();
    emulator.card.cr = 1;
    const { links, send, errors } = bench(emulator);
    send(full(1));
    emulator.card.cr = 2;
    for (const seed of [2, 3]) send(pattern(seed, 1600));
    send(full(3));
    expect(sameFrames(emulator.got, [full(3)])).toBe(true);
    expect(links[0]!.losses).toEqual({ whileDown: 1, refused: 2, fromGuest: 0 });
    expect(errors).toEqual([
      "attachV86: a frame of 1600 bytes, and the card takes 1514: lower the network's mtu",
    ]);
  });

  test('a queue of virtio that is not set up is not touched', () => {
    const emulator = new FakeVirtio(8);
    Object.assign(emulator.queue, { enabled: false, avail_addr: 0, used_addr: 0 });
    const { links, send } = bench(emulator);
    send(full(1));
    expect(emulator.got.length).toBe(0);
    expect(links[0]!.losses).toMatchObject({ whileDown: 1 });
  });

  test('an emulator that throws loses that frame; the error is told, whatever its listener does', () => {
    const emulator = new FakeVirtio(8);
    const { links, errors, send } = bench(emulator);
    emulator.throws = new Error('out of order');
    send(full(1));
    emulator.throws = 'just a text';
    send(full(2));
    emulator.throws = null;
    send(full(3));
    expect(errors).toEqual(['out of order', 'just a text']);
    expect(links[0]!.losses).toMatchObject({ refused: 2 });
    expect(emulator.got.length).toBe(1);

    const worse = new FakeVirtio(8);
    const { send: sendWorse } = bench(worse, {
      onError: () => {
        throw new Error('in the handler');
      },
    });
    worse.throws = new Error('out of order');
    expect(sendWorse(full(1))).toBe(true);
  });
});

describe('the cable', () => {
  test('knows the longest frame of the card that it sees', () => {
    expect(bench(new FakeNe2k()).links[0]!.maxFrame).toBe(1514);
    expect(bench(new FakeVirtio(1)).links[0]!.maxFrame).toBeGreaterThanOrEqual(65521 + 14);
    expect(bench(new FakeV86()).links[0]!.maxFrame).toBeGreaterThanOrEqual(65521 + 14);
  });

  test('close(): the guest is gone, nobody listens, the arena has everything back, nothing is left to do', async () => {
    const emulator = new FakeVirtio(0);
    const { host, used, sinks, cable, clock, send } = bench(emulator);
    expect(send(full(1))).toBe(true);
    clock.advance(500);
    await cable.close();
    await cable.close();
    expect(sinks[0]!.down).toBe('unplugged');
    expect(emulator.heard).toBe(0);
    expect(Object.keys(emulator)).not.toContain('restore_state');
    expect(Object.getOwnPropertySymbols(emulator)).toEqual([]);
    clock.advance(500);
    expect(host.arena.used).toBe(used);
    expect(host.timers.armed).toBe(0);
    expect(send(full(1))).toBe(false);
  });

  test('a network that closes lets the emulator go: another may have it', async () => {
    const emulator = new FakeVirtio(8);
    const { links, attach } = bench(emulator);
    await links[0]!.close();
    expect(emulator.heard).toBe(0);
    attach();
    expect(links.length).toBe(2);
  });

  test('destroy() of the emulator is the end of the cable', async () => {
    const emulator = new FakeVirtio(8);
    const { sinks } = bench(emulator);
    await emulator.destroy();
    expect(sinks[0]!.down).not.toBe(null);
    expect(emulator.heard).toBe(0);
  });

  test('restore_state(): the guest is gone and back on a new link; what waited for the old one is forgotten', async () => {
    const emulator = new FakeVirtio(0);
    const { sinks, links, clock, used, host, cable, send } = bench(emulator);
    send(full(1));
    emulator.tell('net0-send', pattern(1, 60));
    await emulator.restore_state(new ArrayBuffer(1));
    expect(sinks.map((sink) => sink.down)).toEqual(['unplugged', null]);
    expect(links.map((link) => link.name)).toEqual(['v86', 'v86']);
    emulator.queue.left = 8;
    clock.advance(100);
    expect([sinks[0]!.frames.length, sinks[1]!.frames.length, emulator.got.length]).toEqual([0, 0, 0]);
    send(full(2));
    emulator.tell('net0-send', pattern(2, 60));
    clock.advance(100);
    expect(sameFrames(emulator.got, [full(2)])).toBe(true);
    expect(sameFrames(sinks[1]!.frames, [pattern(2, 60)])).toBe(true);
    await cable.close();
    expect(emulator.heard).toBe(0);
    expect(host.arena.used).toBe(used);
  });

  test('restore_state() that fails changes nothing; with no network left it is told, and the cable is out', async () => {
    const emulator = new FakeVirtio(0);
    const { sinks, refuse, errors } = bench(emulator);
    await expect(emulator.restore_state(new ArrayBuffer(0))).rejects.toThrow('no state');
    expect(sinks[0]!.down).toBe(null);
    refuse('the network is closed');
    await emulator.restore_state(new ArrayBuffer(1));
    expect(errors).toEqual(['the network is closed']);
    expect(emulator.heard).toBe(0);
  });

  test('a link around it is put around the next one, too', async () => {
    const emulator = new FakeVirtio(8);
    let recorded = 0;
    const recorder = { record: () => void recorded++ };
    const { links, send } = bench(emulator, { name: 'pc', around: (link) => captureLink(link, recorder) });
    send(full(1));
    await emulator.restore_state(new ArrayBuffer(1));
    send(full(2));
    expect([recorded, emulator.got.length, links[1]!.name]).toEqual([2, 2, 'pc']);
  });
});

describe('what an embedder gets wrong', () => {
  test('two cables', async () => {
    const { attach, cable } = bench(new FakeVirtio(8), { name: 'first' });
    expect(attach).toThrow('attachV86: the emulator has a cable already, first: close() that first');
    await cable.close();
    expect(attach).not.toThrow();
  });

  test('a network that refuses: nothing of it is left at the emulator', () => {
    const emulator = new FakeVirtio(8);
    const other = bench(new FakeVirtio(8));
    other.refuse('the network is closed');
    expect(() => attachV86(other.network, emulator as V86Emulator)).toThrow('the network is closed');
    expect(emulator.heard).toBe(0);
    expect(Object.getOwnPropertySymbols(emulator)).toEqual([]);
  });

  test('an emulator with a network of its own, without a card, without a bus', () => {
    const network = bench(new FakeV86()).network;
    const attach = (emulator: FakeV86) => () => attachV86(network, emulator as V86Emulator);
    const own = new FakeV86();
    own.network_adapter = {};
    expect(attach(own)).toThrow('leave out net_device.relay_url');
    expect(attach(new FakeV86({}))).toThrow("net_device: { type: 'ne2k' } or { type: 'virtio' }");
    const none = new FakeV86();
    Object.assign(none, { bus: undefined });
    expect(attach(none)).toThrow('it is no instance of V86');
  });

  test('a card that turns out to be missing once the machine is there', () => {
    const emulator = new FakeV86();
    const { errors, attach } = bench(emulator);
    emulator.v86 = { cpu: { devices: { pci: {} } } };
    emulator.tell('emulator-ready');
    expect(errors).toEqual([expect.stringContaining('the emulator has no network card')]);
    expect(attach).toThrow('a cable already');
  });
});
