// What the program says: results on standard output, everything else on standard error.

import type { FlowStats, NetworkStats } from '../network/stats.ts';
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
