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
   * delay it is overtaken instead: it is held until the next frame has passed, 3 ms at most.
   */
  readonly reorder?: number;
  /** Probability that one bit of a frame is flipped, 0..1; any bit of it, its Ethernet header included. */
  readonly corrupt?: number;
  /** How long a frame is on its way, in milliseconds with a fraction, 0..60000. */
  readonly delay?: number;
  /** `delay` varies by up to so many milliseconds more or less, uniformly. Frames keep their order all the same. */
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
 * One option as a user writes it: what it adds to the FaultOptions, or null when there is no such fault. Throws a
 * RangeError, one line that names the option and its range.
 */
export function readFaultOption(name: string, value: string): FaultOptions | null {
  if (!isOptionName(name)) return null;
  const figure = read(KINDS[name], value);
  if (figure === null) throw new RangeError(`${name}=${value}: is no ${rangeText(KINDS[name])}`);
  return { [name]: figure };
}

/** Throws a RangeError, one line that names the option and its range. */
export function checkFaults(options: FaultOptions): void {
  const { toGuest = {}, fromGuest = {} } = options;
  for (const figures of [options, { ...options, ...toGuest }, { ...options, ...fromGuest }]) {
    for (const name of NAMES) {
      const value = figures[name];
      if (value !== undefined && !isInRange(KINDS[name], value))
        throw new RangeError(`${name}: ${value} is no ${rangeText(KINDS[name])}`);
    }
  }
  const said = [options, toGuest, fromGuest];
  if (said.some((one) => one.queue !== undefined) && said.every((one) => one.rate === undefined))
    throw new RangeError('queue= needs rate=');
}

/** What holds for one direction. */
export function figuresOf(options: FaultOptions, direction: 'toGuest' | 'fromGuest'): FaultFigures {
  return { ...options, ...options[direction] };
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
