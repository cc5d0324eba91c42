// What tshark says of captures: of each file by a run of its own, or of many at once. A run costs 0.3 s of starting up, so
// for many files mergecap, which reads captures with tshark's library, puts them one behind the other for one run, and
// capinfos, which does so too, says for each how many frames it has and whether it can be read to its end.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A frame: its time in nanoseconds since 1970 and its captured and original length. */
export interface FrameRow {
  readonly number: number;
  readonly time: string;
  readonly capturedLength: number;
  readonly originalLength: number;
}

interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Of one file: its frames up to where tshark stops, and what it says then; '' at the file's end. */
export interface Reading {
  readonly rows: readonly FrameRow[];
  readonly error: string;
}

const FIELDS = ['number', 'time_epoch', 'cap_len', 'len'].flatMap((field) => ['-e', `frame.${field}`]);
/** Runs at a time, the cores of CI. */
const AT_ONCE = 2;

function run(command: string, args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === 'number') resolve({ status, stdout, stderr });
      else reject(new Error(`${command}: ${String(error?.message)}`));
    });
  });
}

/** `path` by a run of tshark. */
async function readAlone(path: string): Promise<Reading> {
  const { status, stdout, stderr } = await run('tshark', ['-n', '-r', path, '-T', 'fields', ...FIELDS]);
  const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Running as user'));
  if ((status === 0) !== (said.length === 0)) throw new Error(`${path}: status ${status}, ${stderr}`);
  return { rows: rowsOf(stdout), error: said.join(' ') };
}

/** Each of `paths` by a run of tshark. */
export async function readEach(paths: readonly string[]): Promise<Map<string, Reading>> {
  const readings = new Map<string, Reading>();
  const left = [...paths];
  const work = async (): Promise<void> => {
    for (let path = left.pop(); path !== undefined; path = left.pop())
      readings.set(path, await readAlone(path));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return readings;
}

/** All of `paths` by one run; each must be one that capinfos reads to its end. `counts` are its own. */
export async function readTogether(
  paths: readonly string[],
  counts: ReadonlyMap<string, number>,
): Promise<Map<string, Reading>> {
  if (paths.length === 0) return new Map();
  const dir = mkdtempSync(join(tmpdir(), 'usernet-tshark-'));
  try {
    const all = join(dir, 'all.pcapng');
    const merge = await run('mergecap', ['-a', '-F', 'pcapng', '-w', all, ...paths]);
    if (merge.status !== 0) throw new Error(`mergecap: ${merge.stderr}`);
    const { rows, error } = await readAlone(all);
    if (error !== '') throw new Error(error);
    const readings = new Map<string, Reading>();
    let from = 0;
    for (const path of paths) {
      const before = from;
      from += counts.get(path)!;
      const own = rows.slice(before, from).map((row) => ({ ...row, number: row.number - before }));
      readings.set(path, { rows: own, error: '' });
    }
    if (from !== rows.length) throw new Error(`${rows.length} frames together, ${from} one by one`);
    return readings;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Number of frames of each file that is read to its end; the others are missing. */
export async function countFrames(paths: readonly string[]): Promise<Map<string, number>> {
  const { stdout, stderr } = await run('capinfos', ['-T', '-r', '-M', '-c', ...paths]);
  const counts = new Map<string, number>();
  for (const line of stdout.split('\n')) {
    const [path, count] = line.split('\t');
    if (path !== undefined && count !== undefined) counts.set(path, Number(count));
  }
  for (const path of paths) {
    if (stderr.includes(`from "${path}"`) || stderr.includes(`file "${path}"`)) counts.delete(path);
    else if (!counts.has(path)) throw new Error(`${path}: capinfos says nothing of it`);
  }
  return counts;
}

function rowsOf(stdout: string): FrameRow[] {
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [number, time = '', capturedLength, originalLength] = line.split('\t');
    return {
      number: Number(number),
      time: nanoseconds(time),
      capturedLength: Number(capturedLength),
      originalLength: Number(originalLength),
    };
  });
}

/** `1700000000.123456000` without its dot, and without zeros in front; what is no such time as it is. */
function nanoseconds(time: string): string {
  // A Simple Packet Block has none, where we say 0.
  if (time === '') return '0';
  const [, seconds, fraction] = /^(-?\d+)\.(\d{9})$/.exec(time) ?? [];
  return seconds === undefined ? time : String(BigInt(`${seconds}${fraction}`));
}
