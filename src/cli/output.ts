// What the program says: results on standard output, everything else on standard error.

import type { FlowStats, NetworkStats } from '../network/stats.ts';
import { reasonOf } from '../node/capture-place.ts';
import { statsText } from './stats-text.ts';

/** Of a program whose results went nowhere, and that has nothing worse to say. */
const OUTPUT_LOST = 1;

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

/**
 * From here on a standard output that takes nothing is told, once, and the exit status is not 0. A reader that is gone, as in
 * `| head`, is no fault of anybody's; either way a program that serves goes on.
 */
export function watchOutput(): void {
  let isLost = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isLost) return;
    isLost = true;
    say(`standard output: ${reasonOf(error)}`);
  });
  process.on('exit', (status) => {
    if (isLost && status === 0) process.exitCode = OUTPUT_LOST;
  });
  // Of standard error there is nowhere to tell.
  process.stderr.on('error', () => {});
}

/** --stats: what statistics look like. JSON is one line for each network. */
export type StatsFormat = 'text' | 'json';

/** Flows that are listed: lines for a person, entries of `openFlows` for a program. */
const MAX_FLOWS: Readonly<Record<StatsFormat, number>> = { text: 20, json: 1000 };

/** Prints what `network` counts, and what its busiest flows are doing. */
export function printStats(
  format: StatsFormat,
  title: string,
  network: { stats(): NetworkStats; flows(most: number): FlowStats[] },
): void {
  const stats = network.stats();
  const openFlows = network.flows(MAX_FLOWS[format]);
  print(
    format === 'json' ? `${JSON.stringify({ ...stats, openFlows })}\n` : statsText(title, stats, openFlows),
  );
}
