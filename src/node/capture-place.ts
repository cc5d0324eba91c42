// Where captures are written: the names of a ring of files, and how a file is opened so that its owner alone may read it.

import {
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs';
import { parse } from 'node:path';
import { getSystemErrorMap } from 'node:util';

/**
 * The names of a ring of `files`: `path` itself, then with a number before its ending, `session.1.pcap`, with as many
 * digits as the last one has.
 */
export function ringPaths(path: string, files: number): string[] {
  const { ext } = parse(path);
  const stem = path.slice(0, path.length - ext.length);
  const digits = String(files - 1).length;
  return Array.from({ length: files }, (_, i) =>
    i === 0 ? path : `${stem}.${String(i).padStart(digits, '0')}${ext}`,
  );
}

/** Throws where something is at `path` that is not a file. */
export function checkPlace(path: string): void {
  refuseOthers(statSync(path, { throwIfNoEntry: false }));
}

/** Is the file at `path` the one that is read from `source`, by whatever name or link? `-` is standard input there. */
export function isSameFile(path: string, source: string): boolean {
  const file = statOf(() => statSync(path, { bigint: true }));
  const read = statOf(() =>
    source === '-' ? fstatSync(0, { bigint: true }) : statSync(source, { bigint: true }),
  );
  return file !== null && read !== null && file.dev === read.dev && file.ino === read.ino;
}

function statOf(stat: () => BigIntStats): BigIntStats | null {
  try {
    return stat();
  } catch {
    // Not there, or not to be looked at: who opens it is told.
    return null;
  }
}

/**
 * Creates the file, or empties the one that is there. Only a regular file: O_NONBLOCK keeps the open from waiting, should
 * the path become a named pipe just now.
 */
export function openCaptureFile(path: string): number {
  const { O_WRONLY, O_CREAT, O_NONBLOCK } = constants;
  checkPlace(path);
  const fd = openSync(path, O_WRONLY | O_CREAT | O_NONBLOCK, 0o600);
  return closedOnError(fd, () => {
    const stat = fstatSync(fd);
    refuseOthers(stat);
    // An old file has the mode it had. Somebody else's, whose mode is not ours to change, is refused.
    if ((stat.mode & 0o777) !== 0o600) fchmodSync(fd, 0o600);
    ftruncateSync(fd);
  });
}

/**
 * Creates the file in the place of the one that is there. That one is not emptied: what is read from it stays as it is,
 * and what is still on its way to it does not end up in the new one.
 */
export function replaceCaptureFile(path: string): number {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const old = lstatSync(path, { throwIfNoEntry: false });
  if (old !== undefined) {
    if (!old.isSymbolicLink()) refuseOthers(old);
    unlinkSync(path);
  }
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  return closedOnError(fd, () => {
    if ((fstatSync(fd).mode & 0o777) !== 0o600) fchmodSync(fd, 0o600);
  });
}

/** `no space left on device`: the system's own words, without the name of the call. */
export function reasonOf(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? message;
}

function closedOnError(fd: number, work: () => void): number {
  try {
    work();
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function refuseOthers(stat: Stats | undefined): void {
  if (stat !== undefined && !stat.isFile()) throw new Error(`is ${kindOf(stat)}, not a file`);
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return 'a directory';
  if (stat.isFIFO()) return 'a named pipe';
  return stat.isSocket() ? 'a socket' : 'a device';
}
