// What a link that is bad on purpose does, as a program says it (FaultOptions) and as a user writes it
// (`loss=1%,delay=20ms,rate=10mbit`), and back to text. The names are those of Linux's netem where it has them.

/** What happens to the frames of one direction. Every figure is optional; left out, it does nothing. */
export interface FaultFigures {
  /** Probability that a frame is lost, 0..1. */
  readonly loss?: number;
  /** Probability that a second copy follows a frame, 0..1. The copy waits, and costs the rate, like a frame. */
  readonly duplicate?: number;
  /**
   * Probability that a frame is put out of its order, 0..1: it skips `delay` and overtakes what waits there. Without a
   * delay it is overtaken instead: it is held for the next frame that is not, and goes right behind that one, or by
   * itself 3 ms after it has left when none has come.
   */
  readonly reorder?: number;
  /** Probability that one bit of a frame is flipped, 0..1; any bit of it, its Ethernet header included. */
  readonly corrupt?: number;
  /**
   * How long a frame is on its way, in milliseconds with a fraction, 0..60000. Never shorter. With `rate`, or where
   * `delay` and `jitter` make less than 5 ms, frames are released at their own microsecond, and while one is less than
   * 1.5 ms from being due that keeps a CPU busy; else by a timer of whole milliseconds, one or two late.
   */
  readonly delay?: number;
  /**
   * `delay` varies by up to so many milliseconds more or less, uniformly. Frames keep their order all the same: one that
   * would be there before the frame in front of it comes right behind that. So where many frames are on their way at once
   * the mean is no longer `delay`, but up to `delay` plus `jitter`.
   */
  readonly jitter?: number;
  /** Bits per second, 1000..100e9: frames leave one after the other. Counted are Ethernet frames without FCS. */
  readonly rate?: number;
  /** Frames that may wait behind the one that is leaving, 1..100000, default 1000; the next is dropped. With `rate`. */
  readonly queue?: number;
}

/** The figures hold for both directions, unless `toGuest` or `fromGuest` says otherwise for one. */
export interface FaultOptions extends FaultFigures {
  readonly toGuest?: FaultFigures;
  readonly fromGuest?: FaultFigures;
  /**
   * A whole number, 0..4294967295, default 1. With the same seed the same befalls the n-th frame of a direction, whatever
   * it is and whenever it comes.
   */
  readonly seed?: number;
}

export const DEFAULT_QUEUE = 1000;
export const DEFAULT_SEED = 1;

const DIRECTIONS = ['toGuest', 'fromGuest'] as const;

type DirectionName = (typeof DIRECTIONS)[number];
type FigureName = keyof FaultFigures;
type OptionName = FigureName | 'seed';

/** How a figure is written: `scale` of each unit; the first unit is what a figure is said in. */
interface Kind {
  readonly what: string;
  readonly example: string;
  readonly units: readonly (readonly [unit: string, scale: number])[];
  readonly whole: boolean;
  readonly min: number;
  readonly max: number;
  readonly range: string;
}

const SHARE: Kind = {
  ...{ what: 'percentage', example: '1%', whole: false, min: 0, max: 1, range: '0% to 100%' },
  units: [['%', 0.01]],
};
const TIME: Kind = {
  ...{ what: 'time', example: '20ms', whole: false, min: 0, max: 60_000, range: '0ms to 60s' },
  units: [
    ['ms', 1],
    ['us', 0.001],
    ['s', 1000],
  ],
};
const RATE: Kind = {
  ...{ what: 'rate', example: '10mbit', whole: false, min: 1000, max: 100e9, range: '1kbit to 100gbit' },
  units: [
    ['gbit', 1e9],
    ['mbit', 1e6],
    ['kbit', 1e3],
    ['bit', 1],
  ],
};
const COUNT: Kind = {
  ...{ what: 'number of frames', example: '8', whole: true, min: 1, max: 100_000, range: '1 to 100000' },
  units: [['', 1]],
};
const SEED: Kind = {
  ...{ what: 'whole number', example: '7', whole: true, min: 0, max: 0xffffffff, range: '0 to 4294967295' },
  units: [['', 1]],
};

/** In the order in which they are said. */
const KINDS: Readonly<Record<OptionName, Kind>> = {
  loss: SHARE,
  delay: TIME,
  jitter: TIME,
  reorder: SHARE,
  duplicate: SHARE,
  corrupt: SHARE,
  rate: RATE,
  queue: COUNT,
  seed: SEED,
};
const NAMES = Object.keys(KINDS) as readonly OptionName[];
const FIGURES = NAMES.filter((name): name is FigureName => name !== 'seed');

/** The names of all options, as they are written. */
export const faultOptionNames: readonly string[] = NAMES;

/**
 * `word`, an option as a user writes it (`loss=1%`), and what was `said` before it; null when there is no such fault.
 * Throws a RangeError, one line that names the option and what it takes.
 */
export function readFaultOption(word: string, said: FaultOptions): FaultOptions | null {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word : word.substring(0, equals);
  if (!isOptionName(name)) return null;
  const kind = KINDS[name];
  if (equals < 0) throw new RangeError(`${word}: needs a value, as in ${word}=${kind.example}`);
  // Whether the first or the last is meant, nobody knows.
  if (said[name] !== undefined) throw new RangeError(`${name}= is said twice`);
  const figure = read(kind, word.substring(equals + 1));
  if (figure === null) throw new RangeError(`${word}: is no ${rangeText(kind)}`);
  return { ...said, [name]: figure };
}

/**
 * Throws a RangeError, or a TypeError where not even the type is right: one line that names the option and its range.
 * A program without types may say anything, so nothing is believed here.
 */
export function checkFaults(options: FaultOptions): void {
  checkGroup(null, options);
  for (const direction of DIRECTIONS)
    if (options[direction] !== undefined) checkGroup(direction, options[direction]);
  const rated = DIRECTIONS.filter((direction) => figuresOf(options, direction).rate !== undefined);
  for (const direction of DIRECTIONS) {
    if (options[direction]?.queue !== undefined && !rated.includes(direction))
      throw new RangeError(`${direction}.queue: needs a rate, which that direction has not`);
  }
  if (options.queue !== undefined && rated.length === 0) throw new RangeError('queue= needs rate=');
}

/** What holds for one direction. */
export function figuresOf(options: FaultOptions, direction: DirectionName): FaultFigures {
  const figures: { -readonly [Name in FigureName]?: number } = {};
  for (const name of FIGURES) {
    const figure = options[direction]?.[name] ?? options[name];
    if (figure !== undefined) figures[name] = figure;
  }
  return figures;
}

/** The options themselves, or those of one direction. */
function checkGroup(direction: DirectionName | null, said: unknown): void {
  if (typeof said !== 'object' || said === null || Array.isArray(said))
    throw new TypeError(`${direction ?? 'faults'}: ${shown(said)} is no object`);
  for (const [name, value] of Object.entries(said)) {
    const where = direction === null ? name : `${direction}.${name}`;
    if (direction === null && DIRECTIONS.some((one) => one === name)) continue;
    if (!isOptionName(name)) throw new RangeError(`${where}: there is no such fault`);
    if (direction !== null && name === 'seed')
      throw new RangeError(`${where}: both directions have one seed`);
    if (value !== undefined) checkFigure(where, KINDS[name], value);
  }
}

function checkFigure(where: string, kind: Kind, value: unknown): void {
  if (typeof value !== 'number') throw new TypeError(`${where}: ${shown(value)} is no number`);
  if (!isInRange(kind, value)) throw new RangeError(`${where}: ${value} is no ${rangeText(kind)}`);
}

/** For an error, whatever it is: some values cannot be made text. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'symbol' || typeof value === 'function' ? `a ${typeof value}` : String(value);
}

/** For a person: `loss 1%, delay 20ms, seed 7`. */
export function faultsText(options: FaultOptions): string {
  const to = figuresText(figuresOf(options, 'toGuest'));
  const from = figuresText(figuresOf(options, 'fromGuest'));
  const figures = to === from ? to : `to the guest ${to}; from the guest ${from}`;
  return `${figures}, seed ${options.seed ?? DEFAULT_SEED}`;
}

function figuresText(figures: FaultFigures): string {
  const said = FIGURES.filter((name) => figures[name] !== undefined);
  return said.map((name) => `${name} ${write(KINDS[name], figures[name] ?? 0)}`).join(', ') || 'no fault';
}

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(KINDS, name);
}

function isInRange(kind: Kind, value: number): boolean {
  return value >= kind.min && value <= kind.max && (!kind.whole || Number.isInteger(value));
}

function rangeText({ what, range, example }: Kind): string {
  return `${what} from ${range}, such as ${example}`;
}

function read(kind: Kind, text: string): number | null {
  const parts = /^(\d{1,12}(?:\.\d{1,12})?)([a-z%]*)$/.exec(text);
  const unit = kind.units.find(([name]) => name === parts?.[2]);
  if (parts === null || unit === undefined) return null;
  const value = Number(parts[1]) * unit[1];
  return isInRange(kind, value) ? value : null;
}

/** In the first unit of which there is at least one, or else the first. */
function write(kind: Kind, value: number): string {
  const [unit, scale] = kind.units.find(([, one]) => kind === RATE && value >= one) ?? kind.units[0]!;
  return `${Number((value / scale).toPrecision(12))}${unit}`;
}
