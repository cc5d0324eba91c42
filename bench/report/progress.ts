// How far a run is, on standard error: a bar where that is a terminal, otherwise a line for each part.

const BAR = 24;
const CLEAR_LINE = '\r\x1b[K';

export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** `fraction` from 0 to 1, and what is being done, cut to `columns`. */
export function bar(fraction: number, label: string, columns: number): string {
  const full = Math.round(Math.min(Math.max(fraction, 0), 1) * BAR);
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  return `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ${percent}  ${label}`.slice(0, columns - 1);
}

export class Progress {
  private readonly output: ProgressOutput;
  private readonly parts: number;
  private done = 0;

  constructor(output: ProgressOutput, parts: number) {
    this.output = output;
    this.parts = parts;
  }

  /** `done` of the `total` steps of `part`; `name`: the last of them, or the first. */
  step(part: string, done: number, total: number, name: string): void {
    if (this.output.isTTY !== true) return;
    const fraction = (this.done + done / total) / this.parts;
    const label = name === '' ? part : `${part}: ${name}`;
    // Some terminals say that they have no columns.
    this.output.write(`${CLEAR_LINE}${bar(fraction, label, this.output.columns || 80)}`);
  }

  endPart(part: string, rows: number, ms: number): void {
    this.done++;
    if (this.output.isTTY !== true)
      this.output.write(`${part}: ${rows} rows in ${(ms / 1000).toFixed(1)} s\n`);
  }

  /** The bar goes away. */
  end(): void {
    if (this.output.isTTY === true) this.output.write(CLEAR_LINE);
  }
}
