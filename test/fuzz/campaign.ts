// Many frames. Two networks are under fuzz at a time, in turns: one that lives for the whole run, so that whatever grows
// with time shows, and one that lives for some ten thousand frames, so that all kinds of networks are seen and each is
// closed. Everything follows from the seed: a network's life from a seed of its own, so that a failure can be had again
// without what was before it, and from the log of what happened to it.

import { Dice } from './dice.ts';
import type { TrainCounts } from './fuzz-link.ts';
import { Fuzzer } from './fuzzer.ts';
import { OpLog, type Script } from './ops.ts';
import { type Kernel, World } from './world.ts';
import { WORLDS, type WorldSpec, worldOf } from './worlds.ts';

const LONG_LOG = 4 << 20;
const SHORT_LOG = 64 << 20;
/** Steps of one network before it is the other's turn. */
const BURST = 200;

export interface CampaignOptions {
  readonly seed: number;
  readonly frames: number;
  readonly seeds: readonly Uint8Array[];
  /** Of the pattern in free arena. */
  readonly salt?: number;
  /** Default 'wasm'; without it frames go one by one. */
  readonly kernel?: Kernel;
  /** Steps between two looks at everything that must hold. Default 128. */
  readonly checkEvery?: number;
  /** Frames of a short life. Default 40000. */
  readonly life?: number;
  /** Called when a short life is over and the next has not begun: nothing but the long one is held. */
  readonly onLifeOver?: (campaign: Campaign) => Promise<void>;
  /** Called between bursts. */
  readonly onBurst?: (campaign: Campaign) => void;
}

/** Something did not hold. */
export class Failure extends Error {
  override readonly name = 'Failure';
  /** Not for whoever prints the error. */
  readonly #script: Script;
  /** Is the script all that happened to the network? */
  readonly isWhole: boolean;
  readonly frame: number;

  constructor(cause: unknown, script: Script, isWhole: boolean, frame: number) {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(`${script.world}, seed ${script.seed}, frame ${frame}: ${text}`, { cause });
    this.#script = script;
    this.isWhole = isWhole;
    this.frame = frame;
  }

  /** What happened to the network until then. */
  get script(): Script {
    return this.#script;
  }
}

/** One network and who plays with it. */
class Life {
  readonly world: World;
  readonly log: OpLog;
  private readonly fuzzer: Fuzzer;
  private readonly seed: number;
  private steps = 0;

  static async begin(spec: WorldSpec, seed: number, log: OpLog, options: CampaignOptions): Promise<Life> {
    return new Life(await World.create(spec, seed, options.salt, options.kernel), seed, log, options.seeds);
  }

  private constructor(world: World, seed: number, log: OpLog, seeds: readonly Uint8Array[]) {
    this.world = world;
    this.seed = seed;
    this.log = log;
    log.clear();
    this.fuzzer = new Fuzzer(world, new Dice(seed), seeds, log);
  }

  burst(checkEvery: number, most: number): void {
    try {
      for (let i = 0; i < BURST && this.world.framesIn < most; i++) {
        this.fuzzer.step();
        if (++this.steps % checkEvery === 0) this.world.check();
      }
    } catch (error) {
      throw this.failure(error);
    }
  }

  async end(): Promise<void> {
    try {
      await this.world.finish();
    } catch (error) {
      throw this.failure(error);
    }
  }

  failure(error: unknown): Failure {
    const script = { world: this.world.spec.name, seed: this.seed, ops: this.log.ops() };
    return new Failure(error, script, !this.log.isTruncated, this.world.framesIn);
  }
}

export class Campaign {
  /** Verdicts by name, `accepted` among them, of lives that are over; and what was lost later. */
  readonly verdicts: Record<string, number> = {};
  readonly losses: Record<string, number> = {};
  lives = 0;
  /** Frames to guests. */
  sent = 0;
  /** Frames of guests that were taken in trains, and frames to guests that were made so. */
  readonly trains: TrainCounts = { taken: 0, made: 0 };
  /** See World.digest: of all lives. */
  digest = 0;
  private readonly options: CampaignOptions;
  private readonly dice: Dice;
  private readonly logs = [new OpLog(LONG_LOG), new OpLog(SHORT_LOG)] as const;
  private long: Life | null = null;
  private short: Life | null = null;
  private done = 0;
  /** A promise that was rejected unheard, somewhere. */
  private stray: unknown = null;

  constructor(options: CampaignOptions) {
    this.options = options;
    this.dice = new Dice(options.seed);
  }

  get frames(): number {
    return this.done + (this.long?.world.framesIn ?? 0) + (this.short?.world.framesIn ?? 0);
  }

  /** Rejects with a Failure. */
  async run(): Promise<void> {
    const onStray = (reason: unknown): void => {
      this.stray ??= reason;
    };
    process.on('unhandledRejection', onStray);
    try {
      await this.runAll();
    } finally {
      process.off('unhandledRejection', onStray);
    }
  }

  private async runAll(): Promise<void> {
    const { options, dice, logs } = this;
    const checkEvery = options.checkEvery ?? 128;
    const long = await Life.begin(worldOf('usual'), dice.word(), logs[0], options);
    this.long = long;
    while (this.frames < options.frames) {
      const spec = WORLDS[this.lives % WORLDS.length]!;
      const short = await Life.begin(spec, dice.word(), logs[1], options);
      this.short = short;
      const most = dice.between(1, 2 * (options.life ?? 40_000));
      while (short.world.framesIn < most && this.frames < options.frames) {
        long.burst(checkEvery, options.frames);
        short.burst(checkEvery, most);
        // Rejections are told of when the event loop comes round.
        await new Promise(setImmediate);
        if (this.stray !== null) throw short.failure(this.stray);
        options.onBurst?.(this);
      }
      this.short = null;
      await this.over(short);
      await options.onLifeOver?.(this);
    }
    this.long = null;
    await this.over(long);
  }

  private async over(life: Life): Promise<void> {
    await life.end();
    const { world } = life;
    const stats = world.network.stats();
    this.lives++;
    this.done += world.framesIn;
    this.sent += world.framesOut;
    this.trains.taken += world.trains.taken;
    this.trains.made += world.trains.made;
    this.digest = (Math.imul(this.digest, 31) + world.digest) | 0;
    add(this.verdicts, { accepted: stats.accepted, ...stats.drops });
    add(this.losses, stats.losses);
  }
}

function add(to: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, n] of Object.entries(more)) to[name] = (to[name] ?? 0) + n;
}

/** Does everything that the script says to a network of its own; throws what does not hold. */
export async function play(script: Script, salt = 0, checkEvery = 1): Promise<World> {
  const world = await World.create(worldOf(script.world), script.seed, salt);
  for (const [i, op] of script.ops.entries()) {
    world.apply(op);
    if (i % checkEvery === 0 && !(op.kind === 'frame' && op.joined)) world.check();
  }
  await world.finish();
  return world;
}
