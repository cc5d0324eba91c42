// What a process and its descendants use, as /proc says.

import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** CPU seconds, user and system, of all the processes of an engine. */
export function cpuSeconds(pid: number): number {
  return sumOver(pid, (each) => {
    const fields = readOr(`/proc/${each}/stat`).split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
  });
}

/** Resident KiB of all the processes of an engine. */
export function residentKib(pid: number): number {
  return sumOver(pid, (each) => Number(/VmRSS:\s+(\d+)/.exec(readOr(`/proc/${each}/status`))?.[1] ?? 0));
}

/** CPU time since boot that the hypervisor kept, and all there was: the difference of two of these makes a share. */
export function stealTicks(): { stolen: number; all: number } {
  const fields = readOr('/proc/stat').split('\n')[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
  return { stolen: fields[7] ?? 0, all: fields.reduce((sum, each) => sum + each, 0) };
}

function sumOver(pid: number, of: (pid: number) => number): number {
  return of(pid) + children(pid).reduce((sum, child) => sum + sumOver(child, of), 0);
}

/** A process may have children of any of its threads. */
function children(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
      readOr(`/proc/${pid}/task/${tid}/children`).trim().split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return []; // it has ended meanwhile
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the same
  }
}
