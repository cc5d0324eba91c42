// What the program says: results on standard output, everything else on standard error.

import type { NetworkStats } from '../network/stats.ts';
import { statsText } from './stats-text.ts';

declare const USERNET_VERSION: string | undefined;

/** The package's version; the build puts it in. */
export const version = typeof USERNET_VERSION === 'string' ? USERNET_VERSION : 'unbuilt';

/** One line for the user, on standard error. */
export function say(line: string): void {
  process.stderr.write(`usernet: ${line}\n`);
}

/** Text on standard output. */
export function print(text: string): void {
  process.stdout.write(text);
}

/** --stats: what statistics look like. JSON is one line for each network. */
export type StatsFormat = 'text' | 'json';

export function printStats(format: StatsFormat, title: string, stats: NetworkStats): void {
  print(format === 'json' ? `${JSON.stringify(stats)}\n` : statsText(title, stats));
}
