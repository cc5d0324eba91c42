// Timestamps of pcapng: 64 bits in a unit that each interface chooses, to seconds and nanoseconds, exact for every unit
// and rounded down. In doubles: the 64 bits are taken in digits of 16 bits, so that every intermediate value is a whole
// number below 2^53. BigInt would allocate for each frame.

const TWO_16 = 65_536;
const TWO_32 = 4_294_967_296;
const BILLION = 1_000_000_000;
/** Largest power of ten that divide() takes. */
const MAX_POWER = 11;

/** if_tsresol when an interface has none: microseconds. draft-ietf-opsawg-pcapng 4.2. */
export const DEFAULT_RESOLUTION = 6;

/** The times of one interface. */
export class CaptureTime {
  /** Of the last read(). A whole number up to 2^53; what is beyond (285 million years) is rounded. */
  seconds = 0;
  /** 0..999999999. */
  nanoseconds = 0;
  private readonly isBinary: boolean;
  private readonly exponent: number;
  private readonly offsetSeconds: number;
  /** Of a decimal resolution: what makes its units nanoseconds or coarser, the units in a second, nanoseconds in one. */
  private readonly divisors: readonly number[];
  private readonly units: number;
  private readonly nanos: number;
  private hi = 0;
  private lo = 0;

  /**
   * `resolution` is the byte if_tsresol: units are 10^-n seconds, or 2^-n where the highest bit is set. `offsetSeconds`
   * is if_tsoffset.
   */
  constructor(resolution: number, offsetSeconds: number) {
    this.isBinary = (resolution & 0x80) !== 0;
    this.exponent = resolution & 0x7f;
    this.offsetSeconds = offsetSeconds;
    const divisors: number[] = [];
    for (let finer = this.exponent - 9; finer > 0; finer -= MAX_POWER) {
      divisors.push(10 ** Math.min(finer, MAX_POWER));
    }
    this.divisors = divisors;
    this.units = 10 ** Math.min(this.exponent, 9);
    this.nanos = BILLION / this.units;
  }

  /** `hi` and `lo` are unsigned halves. Sets `seconds` and `nanoseconds`. */
  read(hi: number, lo: number): void {
    if (this.isBinary) this.readBinary(hi, lo);
    else this.readDecimal(hi, lo);
    this.seconds += this.offsetSeconds;
  }

  private readDecimal(hi: number, lo: number): void {
    this.hi = hi;
    this.lo = lo;
    for (let i = 0; i < this.divisors.length; i++) this.divide(this.divisors[i]!);
    this.nanoseconds = this.divide(this.units) * this.nanos;
    this.seconds = this.hi * TWO_32 + this.lo;
  }

  /** (hi, lo) becomes its quotient by `by`, a whole number from 1 to 2^37; returns the remainder. */
  private divide(by: number): number {
    const { hi, lo } = this;
    const q3 = Math.floor(hi / by);
    let rest = hi - q3 * by;
    const upper = rest * TWO_16 + (lo >>> 16);
    const q1 = Math.floor(upper / by);
    rest = upper - q1 * by;
    const lower = rest * TWO_16 + (lo & 0xffff);
    const q0 = Math.floor(lower / by);
    // A remainder below `by` makes each of the lower digits smaller than 2^16.
    this.hi = q3;
    this.lo = q1 * TWO_16 + q0;
    return lower - q0 * by;
  }

  private readBinary(hi: number, lo: number): void {
    const n = this.exponent;
    if (n >= 64) {
      this.seconds = 0;
      // Beyond 2^-94 less than a nanosecond is left of 64 bits.
      this.nanoseconds = n > 94 ? 0 : Math.floor(nanosOf(hi, lo) / 2 ** (n - 64));
    } else if (n >= 32) {
      this.seconds = n === 32 ? hi : Math.floor(hi / 2 ** (n - 32));
      this.nanoseconds = nanosOf(
        n === 32 ? lo : ((hi << (64 - n)) | (lo >>> (n - 32))) >>> 0,
        n === 32 ? 0 : (lo << (64 - n)) >>> 0,
      );
    } else {
      const unit = 2 ** n;
      this.seconds = hi * (TWO_32 / unit) + Math.floor(lo / unit);
      this.nanoseconds = nanosOf((lo % unit) * (TWO_32 / unit), 0);
    }
  }
}

/** Nanoseconds of the fraction (hi * 2^32 + lo) / 2^64 of a second, rounded down. */
function nanosOf(hi: number, lo: number): number {
  let carry = Math.floor(((lo & 0xffff) * BILLION) / TWO_16);
  carry = Math.floor(((lo >>> 16) * BILLION + carry) / TWO_16);
  carry = Math.floor(((hi & 0xffff) * BILLION + carry) / TWO_16);
  return Math.floor(((hi >>> 16) * BILLION + carry) / TWO_16);
}
