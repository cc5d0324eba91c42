// The process has a limited number of file descriptors, and a guest can ask for as many sockets as it likes. At the limit
// Node can not even accept, log or read a file, so the sockets of all networks together stay 256 under it.

import { readFileSync } from 'node:fs';

/** Descriptors that are left to the program itself: links, listeners, files, the engine's own. */
const RESERVED = 256;

/** What POSIX systems start with, where nobody can be asked. */
const USUAL_LIMIT = 1024;

/** How many host sockets may be open. Every open one is taken, and given back once it is closed. */
export class DescriptorBudget {
  readonly limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** False when there is none left; then do not open the socket. */
  take(): boolean {
    if (this.used >= this.limit) return false;
    this.used++;
    return true;
  }

  /** Gives one back, after its socket is closed. */
  give(): void {
    this.used--;
  }
}

/** The budget of this process, shared by all networks in it, because the limit is. */
export const processDescriptors = new DescriptorBudget(socketsUnder(openFilesLimit()));

/** How many sockets a limit on open files leaves. Where it is low, half of it: the program itself needs some. */
export function socketsUnder(limit: number): number {
  return Math.max(limit - RESERVED, limit >> 1);
}

/** RLIMIT_NOFILE, the soft one; Node has raised it to the hard one at its start. */
export function openFilesLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    if (soft === 'unlimited') return 1 << 20;
    if (soft !== undefined) return Number(soft);
  } catch {
    // Not Linux: the report below knows.
  }
  return reportedLimit() ?? USUAL_LIMIT;
}

function reportedLimit(): number | null {
  const report = process.report?.getReport() as
    | { userLimits?: { open_files?: { soft?: number | string } } }
    | undefined;
  const soft = report?.userLimits?.open_files?.soft;
  if (soft === 'unlimited') return 1 << 20;
  return typeof soft === 'number' ? soft : null;
}
