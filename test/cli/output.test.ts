import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { tempFolder } from '../support/capture-story.ts';
import { OWN } from '../support/captures.ts';

const FULL = '/dev/full';
const SESSION = join(OWN, 'http-download-libslirp.pcap');
const PROGRAM = [process.execPath, join('tools', 'run.mjs'), join('src', 'cli', 'main.ts')];

const folder = tempFolder('output');
afterAll(() => folder.remove());

function spawn(
  [command = '', ...args]: readonly string[],
  stdout: number | 'pipe',
): SpawnSyncReturns<string> {
  const cwd = resolve(import.meta.dirname, '../..');
  return spawnSync(command, args, {
    ...{ cwd, encoding: 'utf8', timeout: 15_000 },
    stdio: ['ignore', stdout, 'pipe'],
  });
}

/** `usernet` with its standard output on a disk that is full. */
function onFullDisk(...words: readonly string[]): { status: number | null; stderr: string } {
  const full = openSync(FULL, 'w');
  const { status, stderr } = spawn([...PROGRAM, ...words], full);
  closeSync(full);
  return { status, stderr };
}

describe.skipIf(!existsSync(FULL))('standard output that takes nothing', () => {
  const told = 'usernet: standard output: no space left on device\n';

  test.each([['show', SESSION], ['replay', SESSION], ['--version']])(
    'usernet %s says so, once, and that is no success',
    (...words) => {
      expect(onFullDisk(...words)).toEqual({ status: 1, stderr: told });
    },
  );

  test('a status that says more stays', () => {
    const path = folder.path('cut.pcap');
    writeFileSync(path, readFileSync(SESSION).subarray(0, 9000));
    const { status, stderr } = onFullDisk('replay', path);
    expect([status, stderr.split('\n').length]).toEqual([2, 3]);
    expect(stderr).toContain(told);
    expect(stderr).toContain('the file ends inside a record');
  });
});

test("a reader that is gone is nobody's fault", () => {
  const words = [...PROGRAM, 'show', SESSION].map((word) => `'${word}'`).join(' ');
  expect(spawn(['sh', '-c', `{ ${words}; echo "status $?" >&2; } | true`], 'pipe').stderr).toBe('status 0\n');
});
