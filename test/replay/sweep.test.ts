// Every capture at hand, whatever it is of: read to its end or to a stated error, shown, and thrown at the engine frame by
// frame. Nothing throws, each frame has one verdict, nothing of it stays, and a guest that comes afterwards is served.

import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Drop, dropNames } from '../../src/base/drop.ts';
import { memoryOver } from '../../src/base/memory.ts';
import type { LinkSink } from '../../src/link/link.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { describeFrame } from '../../src/wire/describe.ts';
import { buildDiscover, buildRequest } from '../../src/wire/dhcp-client.ts';
import { layersOf } from '../../src/wire/layers.ts';
import { filesUnder, hasShared, OWN, SHARED } from '../support/captures.ts';
import { heapInUse } from '../support/heap.ts';
import { BROADCAST_MAC, udp } from '../support/raw-frames.ts';
import { RawBench, type RawLink } from '../support/raw-guest.ts';

/** What a raw guest's link can hold; no link takes longer frames. */
const MAX_FRAME = 65_536;
/** Longer than anything that a frame begins: a connect, an idle UDP flow, TIME-WAIT, a lease's offer. */
const LONG_MS = 400_000;

/** What is no capture is one frame of its bytes. */
const paths = [...filesUnder(OWN), ...filesUnder(SHARED)];

interface Loaded {
  readonly name: string;
  readonly frames: readonly Uint8Array[];
  readonly isCapture: boolean;
  readonly isOurs: boolean;
}

const files: Loaded[] = paths.map((path) => {
  const bytes = readFileSync(path);
  const { frames, damage } = readCapture(bytes);
  const isOurs = path.startsWith(OWN);
  const name = relative(isOurs ? OWN : SHARED, path);
  // Of a damaged one there is what comes before the damage.
  const isCapture = damage === null;
  return {
    name,
    frames: isCapture || frames.length > 0 ? frames.map((one) => one.bytes) : [bytes],
    isCapture,
    isOurs,
  };
});

const totalDrops = (drops: Readonly<Record<string, number>>): number =>
  Object.values(drops).reduce((sum, n) => sum + n, 0);

/** A bench whose link tells each frame's verdict. */
class Sweep {
  readonly bench = new RawBench({}, MAX_FRAME);
  readonly link: RawLink;
  verdicts = new Map<string, number>();
  injected = 0;
  tooLong = 0;
  private last: Drop = Drop.None;

  constructor() {
    this.link = this.bench.plug('sweep', MAX_FRAME);
    // Connections are refused, or hang: what a capture asks for is nobody's here.
    this.bench.host.onConnect = (stream) => {
      if (stream.to.port % 2 === 0) stream.fail('refused');
    };
    const inside = this.link as unknown as { sink: LinkSink };
    const { sink } = inside;
    inside.sink = {
      onFrame: (off, len) => (this.last = sink.onFrame(off, len)),
      onLinkWritable: () => sink.onLinkWritable(),
      onLinkDown: (reason) => sink.onLinkDown(reason),
    };
  }

  inject(frame: Uint8Array): void {
    if (frame.length > MAX_FRAME) {
      this.tooLong++;
      return;
    }
    this.injected++;
    this.link.sends(frame);
    this.bench.clock.runSoon();
    const name = dropNames[this.last] ?? '';
    this.verdicts.set(name, (this.verdicts.get(name) ?? 0) + 1);
    this.link.takes();
    this.bench.link.takes();
  }

  /** `file: frames, delivered, drops by name`, as counted so far. */
  row(name: string): string {
    const { drops, accepted } = this.bench.network.stats();
    const names = Object.entries(drops).sort(([a], [b]) => a.localeCompare(b));
    return [
      `${name}: ${this.injected} frames, ${accepted} delivered`,
      ...names.map(([drop, n]) => `${n} ${drop}`),
    ].join(', ');
  }

  /** Time for everything to end; what the played host remembers is forgotten. */
  rest(): void {
    const { bench } = this;
    for (let at = 0; at < LONG_MS; at += 1000) bench.clock.advance(1000);
    bench.host.streams.length = 0;
    bench.host.sockets.length = 0;
    this.link.takes();
    bench.link.takes();
  }

  /** Every frame has exactly one verdict, and the counters say the same as the link was told. */
  expectAccounted(name: string): void {
    const { drops, accepted, links } = this.bench.network.stats();
    const told = Object.fromEntries([...this.verdicts].filter(([drop]) => drop !== 'None'));
    expect(drops, name).toEqual(told);
    expect(accepted, name).toBe(this.verdicts.get('None') ?? 0);
    expect(accepted + totalDrops(drops), name).toBe(this.injected);
    expect(
      links.reduce((sum, link) => sum + link.framesIn, 0),
      name,
    ).toBe(this.injected);
  }

  /** A guest that has not been there before asks for a lease and has it in the same turn. */
  expectLease(name: string): void {
    const mac = { hi: 0x0200, lo: 0x00c0ffee };
    const client = {
      ...{ xid: 77, mac, secs: 0, broadcast: true, clientId: null, hostname: null },
      parameters: [1, 3, 6],
    };
    const from = '02:00:00:c0:ff:ee';
    const fields = { src: '0.0.0.0', dst: '255.255.255.255', to: BROADCAST_MAC, from, sport: 68, dport: 67 };
    const link = this.bench.plug('late', MAX_FRAME);
    const answerOf = (message: Uint8Array): Buffer => {
      link.sends(udp(Buffer.from(message), fields));
      const [answer] = link.takes();
      if (answer === undefined) throw new Error(`${name}: no answer to a DHCP client`);
      return answer;
    };
    const offer = answerOf(buildDiscover(client, null));
    expect(offer.readUInt8(42 + 242), name).toBe(2);
    const requested = offer.readInt32BE(42 + 16);
    const ack = answerOf(buildRequest(client, { requested, serverId: 0x0a000202 }));
    expect(ack.readUInt8(42 + 242), name).toBe(5);
    link.goesDown();
  }
}

test('every file is read to its end, or is no capture and says so', () => {
  expect(files.length).toBeGreaterThan(50);
  const none = files.filter((one) => !one.isCapture).map((one) => one.name);
  // Raw packets, which lie among the captures of others.
  expect(none.filter((name) => !/\.(pkt|bin)$/.test(name))).toEqual([]);
  if (hasShared) expect(files.length).toBeGreaterThan(380);
});

test('every frame can be shown, in both forms', () => {
  let shown = 0;
  for (const { name, frames } of files) {
    for (const frame of frames) {
      const memory = memoryOver(frame);
      expect(describeFrame(memory, 0, frame.length), name).toMatch(/^[^\n]+$/);
      expect(Array.isArray(layersOf(memory, 0, frame.length)), name).toBe(true);
      shown++;
    }
  }
  expect(shown).toBeGreaterThan(1500);
});

describe('thrown at the engine, frame by frame', () => {
  test('a network for each file: every frame has its verdict, and a client is served at once', {
    timeout: 60_000,
  }, () => {
    for (const { name, frames } of files) {
      const sweep = new Sweep();
      for (const frame of frames) sweep.inject(frame);
      sweep.expectAccounted(name);
      sweep.expectLease(name);
    }
  });

  /** `npx vitest run test/replay/sweep.test.ts -u` writes the table anew. */
  test('what becomes of the frames of our own captures is known', async () => {
    const rows = files
      .filter((one) => one.isOurs)
      .map(({ name, frames }) => {
        const sweep = new Sweep();
        for (const frame of frames) sweep.inject(frame);
        return sweep.row(name);
      });
    expect(rows.length).toBeGreaterThan(50);
    await expect(`${rows.join('\n')}\n`).toMatchFileSnapshot(join(import.meta.dirname, 'sweep.txt'));
  });

  test('one network for all of them, again and again: memory stays flat', { timeout: 60_000 }, async () => {
    const sweep = new Sweep();
    const seen: { used: number; timers: number; heap: number }[] = [];
    for (let round = 0; round < 5; round++) {
      for (const { frames } of files) for (const frame of frames) sweep.inject(frame);
      sweep.expectAccounted(`round ${round}`);
      sweep.rest();
      const { flows, arena, timers } = sweep.bench.network.stats();
      expect([flows.tcp, flows.udp]).toEqual([0, 0]);
      seen.push({ used: arena.used, timers, heap: (await heapInUse()).all });
    }
    const [, warm] = seen;
    const end = seen.at(-1);
    expect([end?.used, end?.timers]).toEqual([warm?.used, warm?.timers]);
    expect(end?.heap).toBeLessThan(1.05 * (warm?.heap ?? 0));
    sweep.expectLease('after all of them');
    expect(sweep.injected).toBeGreaterThan(5 * 1500);
  });
});
