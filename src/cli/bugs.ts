// What the program says when it meets a bug of its own: a throw that nobody expected. The frames that led there are not
// recorded beforehand, which every frame would pay for: they are read from the links' buffers, which still hold them.

import type { Link } from '../link/link.ts';
import { describeFrame } from '../wire/describe.ts';
import { say } from './output.ts';

/** Of one link in one direction. */
const MAX_FRAMES = 8;

/** By name. Names are used again, so it grows no longer than the most links that were up at a time. */
const watched = new Map<string, Link>();

/** Frames of this link are part of a report. */
export function watchLink(link: Link): void {
  watched.set(link.name, link);
}

/** A throw that leaves a turn ends the program, with a report; what listens to 'exit' is done before. */
export function endOnBugs(): void {
  process.on('uncaughtException', (error: unknown) => {
    tellBug(error);
    process.exit(1);
  });
}

/** One line that says what this is, the last frames of each link, where it was thrown. */
export function tellBug(error: unknown): void {
  say(`this is a bug of usernet, please report it with all that follows: ${error}`);
  for (const link of watched.values()) {
    for (const line of frameLines(link)) say(`${link.name}: ${line}`);
  }
  if (error instanceof Error && error.stack !== undefined) say(error.stack);
}

function frameLines(link: Link): string[] {
  const lines: { [direction: string]: (() => string)[] } = { 'from-guest': [], 'to-guest': [] };
  try {
    link.recall?.((direction, memory, off, len) => {
      const list = lines[direction]!;
      list.push(() => `${direction.replace('-', ' ')}: ${describeFrame(memory, off, len)}`);
      if (list.length > MAX_FRAMES) list.shift();
    });
    return Object.values(lines).flatMap((list) => list.map((line) => line()));
  } catch (error) {
    // The bug may be here, too.
    return [`its frames cannot be told: ${error}`];
  }
}
