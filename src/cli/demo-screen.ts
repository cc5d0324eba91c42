// What `usernet demo` shows: a line for each step when it is done, and while a long one runs on a terminal, a bar.

const NAME_WIDTH = 11;
const BAR_WIDTH = 30;
const REDRAW_MS = 80;
const MIB = 1 << 20;

/** Standard output, or what stands for it. */
export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class DemoScreen {
  private readonly out: Screen;
  private readonly startedAt = performance.now();
  private drawnAt = 0;
  private drawn = false;

  constructor(out: Screen) {
    this.out = out;
  }

  /** A step is done. */
  step(name: string, text: string): void {
    this.clearBar();
    const seconds = (performance.now() - this.startedAt) / 1000;
    this.out.write(`${seconds.toFixed(2).padStart(6)} s  ${name.padEnd(NAME_WIDTH)}${text}\n`);
  }

  text(text: string): void {
    this.clearBar();
    this.out.write(text);
  }

  /** How far a transfer is that began at `since` (performance.now()). */
  progress(name: string, bytes: number, of: number, since: number): void {
    const now = performance.now();
    if (this.out.isTTY !== true || now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    this.drawn = true;
    const share = of === 0 ? 1 : bytes / of;
    const bar = '#'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
    const numbers = `${String(Math.round(100 * share)).padStart(3)} %  ${rate(bytes, now - since)}`;
    this.out.write(`\r${' '.repeat(10)}${name.padEnd(NAME_WIDTH)}[${bar}] ${numbers}\x1b[K`);
  }

  private clearBar(): void {
    if (this.drawn) this.out.write('\r\x1b[K');
    this.drawn = false;
    this.drawnAt = 0;
  }
}

/** `123 MiB/s`. */
export function rate(bytes: number, ms: number): string {
  return `${(bytes / MIB / (Math.max(ms, 0.001) / 1000)).toFixed(0)} MiB/s`;
}

/** `0.4 ms`, `35 ms`, `1.20 s`. */
export function time(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
