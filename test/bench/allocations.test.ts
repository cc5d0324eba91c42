// What a data frame takes of the heap on its way through the engine, by V8's counters: in a process of its own, since the young
// generation has to be so large that nothing is collected meanwhile. The quick run, in which the compiler is still at work:
// the bounds are some bytes for a frame, where one object for each would be 16 at least. `npm run bench` has the figures.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

test('nothing is allocated for a frame of TCP, and nothing kept', () => {
  const args = ['tools/run.mjs', 'bench/main.ts', '--quick', '--only', 'heap'];
  execFileSync(process.execPath, args, { cwd: root, stdio: 'ignore' });
  const run = JSON.parse(readFileSync(resolve(root, 'bench/results/last-run.json'), 'utf8')) as {
    rows: { name: string; value: number }[];
  };
  const bytes = new Map(run.rows.map(({ name, value }) => [name, value]));
  expect(bytes.size).toBe(4);
  for (const way of ['guest to host', 'host to guest']) {
    expect(bytes.get(`TCP ${way}, 1460 B: allocated`)).toBeLessThan(12);
    expect(bytes.get(`TCP ${way}, 1460 B: kept`)).toBeLessThan(4);
  }
}, 60_000);
