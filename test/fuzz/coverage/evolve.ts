// node tools/run.mjs test/fuzz/coverage/evolve.ts [SECONDS [SEED]]
//
// Fuzzing by coverage: an input that reaches a branch which none has reached before is kept, made as small as it gets, and
// others begin with it. Ends when the time is up; what is kept goes to test/fuzz/corpus/, and what is not reached is said.

import { writeFileSync } from 'node:fs';
import { build } from '../../../src/wire/dhcp.ts';
import { domainSearch, number, Option, text } from '../../../src/wire/dhcp-options.ts';
import { FRAMES } from '../../support/frames.ts';
import { Dice } from '../dice.ts';
import { Draft } from '../draft.ts';
import { overload } from '../messages.ts';
import { mutate, mutateBlindly, mutateDhcp } from '../mutate.ts';
import { type Op, type Script, scriptText } from '../ops.ts';
import { collectSeeds } from '../seeds.ts';
import { bundleTargets, loadTargets, type Targets } from './bundle.ts';
import { BYTE_TARGET_NAMES, type Entry, feed, loadCorpus, saveCorpus } from './corpus.ts';
import { FOLDERS } from './folders.ts';
import { Meter } from './meter.ts';

const MOST_TRIES = 400;
/** A branch that so many entries reach is reached. */
const TIMES = 2;
const TRIES_IN_VAIN = 5;
/** Byte inputs between two looks at the counts, which cost more than they do. */
const BATCH = 64;

/** A message with all that a server may say. */
const ANSWER = build(
  {
    ...{
      op: 2,
      xid: 1,
      secs: 0,
      flags: 0,
      ciaddr: 0,
      yiaddr: 0x0a00020f,
      siaddr: 0,
      giaddr: 0,
      sname: 's',
      file: 'f',
    },
    chaddr: { hi: 0x5254, lo: 1 },
  },
  [
    [Option.MessageType, number(1, 5)],
    [Option.HostName, text('vm')],
    [Option.DomainSearch, domainSearch(['example.org', 'a.example.net'])],
    [Option.Router, number(4, 0x0a000202)],
  ],
  548,
);

class Evolution {
  readonly entries: Entry[] = [];
  private readonly meter: Meter;
  private readonly targets: Targets;
  private readonly dice: Dice;
  private readonly seeds: readonly Uint8Array[];
  /** By branch: entries that reach it, and how often it was asked for in vain. */
  private readonly times: Uint32Array;
  private readonly inVain: Uint8Array;

  constructor(meter: Meter, targets: Targets, dice: Dice, seeds: readonly Uint8Array[]) {
    this.meter = meter;
    this.targets = targets;
    this.dice = dice;
    this.seeds = seeds;
    this.times = new Uint32Array(meter.branches.length);
    this.inVain = new Uint8Array(meter.branches.length);
  }

  isReached(i: number): boolean {
    return this.times[i]! > 0;
  }

  /** Keeps `entry` where it reaches what too few do. */
  async tell(entry: Entry): Promise<void> {
    const hits = await this.hitsOf(entry);
    const fresh = this.wanted(hits);
    if (fresh.length === 0) return;
    const small = await this.shrink(entry, fresh);
    this.entries.push(small);
    for (const i of await this.hitsOf(small)) this.times[i]! += 1;
    const size = small.target === 'script' ? `${small.script.ops.length} ops` : `${small.bytes.length} bytes`;
    console.log(`${this.summary()}  + ${fresh.length} by ${small.target}, ${size}`);
  }

  /** Of the branches in `hits` those that too few entries reach. */
  private wanted(hits: ReadonlySet<number>): number[] {
    return [...hits].filter((i) => this.times[i]! < TIMES && this.inVain[i]! < TRIES_IN_VAIN);
  }

  private async hitsOf(entry: Entry): Promise<Set<number>> {
    this.meter.take();
    const good = await this.feed(entry);
    const hits = this.meter.take();
    return good ? hits : new Set();
  }

  /** `fresh` has run while an entry was made, and maybe not for what is in it: then it is not asked for again and again. */
  private async tellOf(entries: readonly Entry[], fresh: readonly number[]): Promise<void> {
    const before = fresh.map((i) => this.times[i]!);
    for (const entry of entries) await this.tell(entry);
    for (const [n, i] of fresh.entries()) if (this.times[i] === before[n]) this.inVain[i]! += 1;
  }

  async script(): Promise<void> {
    const { dice, targets } = this;
    const spec = dice.pick(targets.WORLDS);
    const bases = this.entries.flatMap((entry) => (entry.target === 'script' ? [entry.script] : []));
    const own = bases.filter((script) => script.world === spec.name);
    const base: Script | null = own.length > 0 && dice.chance(50) ? dice.pick(own) : null;
    const seed = base?.seed ?? dice.below(1000);
    const world = await targets.World.create(spec, seed);
    const log = new targets.OpLog(4 << 20);
    for (const op of base?.ops ?? []) world.apply(op);
    const fuzzer = new targets.Fuzzer(world, new targets.Dice(dice.word()), this.seeds, log);
    const played = (): Entry => {
      const ops = [...(base?.ops ?? []), ...log.ops()];
      return { target: 'script', script: { world: spec.name, seed, ops } };
    };
    try {
      for (let steps = dice.pick([20, 100, 400]); steps > 0; steps--) fuzzer.step();
      await world.finish();
    } catch {
      // Played again it says what is wrong.
      await this.feed(played());
      return;
    }
    const fresh = this.wanted(this.meter.take());
    if (fresh.length > 0) await this.tellOf([played()], fresh);
  }

  async bytes(): Promise<void> {
    const { dice } = this;
    const draft = new Draft();
    const batch: Entry[] = [];
    for (let i = 0; i < BATCH; i++) {
      const target = dice.pick(BYTE_TARGET_NAMES);
      const known = this.entries.flatMap((entry) => (entry.target === target ? [entry.bytes] : []));
      const start = known.length > 0 && dice.chance(80) ? dice.pick(known) : this.startOf(target);
      draft.copy(start);
      // What comes first in a frame's input is no part of it.
      const head = target === 'frame' ? 1 : 0;
      if (target === 'frame' && dice.chance(60)) {
        draft.copy(start.subarray(head));
        mutate(draft, dice, this.seeds);
        if (dice.chance(70)) draft.seal();
        draft.copy(
          Buffer.concat([Buffer.from([dice.chance(80) ? 0 : 40]), draft.bytes.subarray(0, draft.len)]),
        );
      } else for (let n = dice.between(1, 4); n > 0; n--) mutateBlindly(draft, dice, known);
      if (target === 'message' && draft.len > 300 && dice.chance(30))
        overload(draft.bytes, 0, draft.len, dice);
      if (target === 'message' && dice.chance(50)) mutateDhcp(draft.bytes, dice, 0, draft.len);
      batch.push({ target, bytes: Buffer.from(draft.bytes.subarray(0, Math.min(draft.len, 2000))) });
    }
    for (const entry of batch) await this.feed(entry);
    const fresh = this.wanted(this.meter.take());
    if (fresh.length > 0) await this.tellOf(batch, fresh);
  }

  /**
   * As few as reach all that all of them reach, and most of it twice: so that a branch is not lost when the engine does
   * something a little earlier or later. Those that reach the most of what is still missing first.
   */
  async reduce(): Promise<void> {
    const reached: { readonly entry: Entry; readonly hits: Set<number> }[] = [];
    for (const entry of this.entries) reached.push({ entry, hits: await this.hitsOf(entry) });
    this.entries.length = 0;
    for (let round = 0; round < TIMES; round++) {
      const missing = new Set(reached.flatMap(({ hits }) => [...hits]));
      while (missing.size > 0) {
        const gain = ({ hits }: { hits: Set<number> }): number =>
          [...hits].filter((i) => missing.has(i)).length;
        const best = reached.reduce((a, b) => (gain(b) > gain(a) ? b : a));
        this.entries.push(best.entry);
        reached.splice(reached.indexOf(best), 1);
        for (const i of best.hits) missing.delete(i);
        if (reached.length === 0) return;
      }
    }
  }

  summary(): string {
    const shares = FOLDERS.map((folder) => {
      const { covered, all } = this.meter.share(folder, (i) => this.times[i]! > 0);
      return `${folder} ${((100 * covered) / all).toFixed(2)} %`;
    });
    return shares.join(', ');
  }

  /** False where it fails: that is said, and a script is saved among the crashes. */
  private async feed(entry: Entry): Promise<boolean> {
    try {
      await feed(this.targets, entry);
      return true;
    } catch (error) {
      console.log(error);
      if (entry.target === 'script') {
        const path = `test/fuzz/crashes/${entry.script.world}-${this.dice.word() >>> 0}.script`;
        writeFileSync(path, scriptText(entry.script));
        console.log(path);
      } else console.log(entry.target, Buffer.from(entry.bytes).toString('hex'));
      return false;
    }
  }

  private startOf(target: Entry['target']): Uint8Array {
    const frame = this.dice.pick(this.seeds);
    if (target === 'frame') return Buffer.concat([Buffer.from([0]), frame]);
    return target === 'message' || target === 'question' ? frame.subarray(42) : Buffer.from('example.org');
  }

  private async shrink(entry: Entry, goal: readonly number[]): Promise<Entry> {
    let tries = 0;
    const reaches = async (candidate: Entry): Promise<boolean> => {
      tries++;
      const hits = await this.hitsOf(candidate);
      return goal.every((i) => hits.has(i));
    };
    if (entry.target !== 'script') {
      let bytes = entry.bytes;
      for (let size = bytes.length >> 1; size >= 1 && tries < MOST_TRIES; size >>= 1) {
        const short = bytes.subarray(0, bytes.length - size);
        if (await reaches({ ...entry, bytes: short })) bytes = short;
      }
      return { ...entry, bytes };
    }
    let ops: readonly Op[] = entry.script.ops;
    for (
      let size = Math.ceil(ops.length / 2);
      size >= 1 && tries < MOST_TRIES;
      size = size === 1 ? 0 : size >> 1
    ) {
      for (let at = ops.length; at > 0 && tries < MOST_TRIES; at -= size) {
        const rest = [...ops.slice(0, Math.max(0, at - size)), ...ops.slice(at)];
        if (await reaches({ target: 'script', script: { ...entry.script, ops: rest } })) ops = rest;
      }
    }
    return { target: 'script', script: { ...entry.script, ops } };
  }
}

async function main(): Promise<void> {
  const [seconds = 60, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number);
  const root = process.cwd();
  const path = await bundleTargets(root);
  const meter = new Meter(path, FOLDERS);
  const targets = await loadTargets(path);
  const evolution = new Evolution(meter, targets, new Dice(seed), collectSeeds(root, true).frames);
  for (const entry of loadCorpus(root)) await evolution.tell(entry);
  for (const bytes of Object.values(FRAMES)) {
    await evolution.tell({ target: 'frame', bytes: Buffer.concat([Buffer.from([0]), bytes]) });
    await evolution.tell({ target: 'message', bytes: bytes.subarray(42) });
  }
  console.log(`seed ${seed}; from the corpus: ${evolution.summary()}`);
  await evolution.tell({ target: 'message', bytes: ANSWER });
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await evolution.script();
    await evolution.bytes();
  }
  await evolution.reduce();
  saveCorpus(root, evolution.entries);
  for (const [i, { file, text, arm }] of meter.branches.entries())
    if (!evolution.isReached(i)) console.log(`not reached: ${file}: ${text} [${arm}]`);
  console.log(`${evolution.entries.length} entries: ${evolution.summary()}`);
}

await main();
