// How many connections were turned away, and why. Each is counted; of each reason one line tells at once, and then at
// most one a minute, however many pages try.

import type { IncomingMessage } from 'node:http';

const TELL_EACH_MS = 60_000;
/** Reasons are ours, but for the words of an error; so many are kept apart. */
const MAX_REASONS = 64;

interface Reason {
  count: number;
  untold: number;
  toldAt: number;
}

export class Refusals {
  private readonly reasons = new Map<string, Reason>();
  private readonly tell: (message: string) => void;

  constructor(tell: (message: string) => void) {
    this.tell = tell;
  }

  /** `hint`: of this connection alone; in parentheses behind the reason. */
  count(reason: string, hint = ''): void {
    const key = this.reasons.has(reason) || this.reasons.size < MAX_REASONS ? reason : 'another reason';
    const at = this.reasons.get(key) ?? { count: 0, untold: 0, toldAt: Number.NEGATIVE_INFINITY };
    this.reasons.set(key, at);
    at.count++;
    at.untold++;
    const now = performance.now();
    if (now - at.toldAt < TELL_EACH_MS) return;
    const who = at.untold === 1 ? 'a connection was' : `${at.untold} connections were`;
    at.untold = 0;
    at.toldAt = now;
    try {
      this.tell(`${who} turned away: ${key}${hint === '' ? '' : ` (${hint})`}`);
    } catch {
      // The embedder's: what it throws is nobody's.
    }
  }

  counts(): Record<string, number> {
    return Object.fromEntries([...this.reasons].map(([reason, { count }]) => [reason, count]));
  }
}

/** What the operator wants to know of who was refused. Nothing of the URL: there may be a token in it. */
export function hintOf({ headers: { origin, host } }: IncomingMessage): string {
  const parts = [...(origin === undefined ? [] : [`Origin ${shown(origin)}`]), `Host ${shown(host ?? '')}`];
  return parts.join(', ');
}

function shown(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, '?');
  return plain.length > 100 ? `${plain.slice(0, 97)}...` : plain;
}
