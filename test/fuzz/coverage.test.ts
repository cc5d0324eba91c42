// The corpus reaches 95 % of the branches of what a guest's bytes come by first, by V8's own counts: each input of it is
// played, and none fails. It is made by coverage/evolve.ts.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { bundleTargets, loadTargets } from './coverage/bundle.ts';
import { feed, loadCorpus } from './coverage/corpus.ts';
import { FOLDERS } from './coverage/folders.ts';
import { Meter } from './coverage/meter.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const ENOUGH = 0.95;
const MOST_BYTES = 1_000_000;

test('95 % of the branches of src/wire, src/ip, src/tcp and DHCP, measured', {
  timeout: 120_000,
}, async () => {
  const path = await bundleTargets(ROOT);
  const meter = new Meter(path, FOLDERS);
  const targets = await loadTargets(path);
  for (const entry of loadCorpus(ROOT)) await feed(targets, entry);
  const hits = meter.take();
  meter.stop();
  rmSync(path);
  const counted = new Set(meter.branches.map((branch) => branch.file));
  for (const folder of FOLDERS) {
    const { covered, all } = meter.share(folder, (i) => hits.has(i));
    const missing = meter.branches.filter((branch, i) => branch.file.startsWith(folder) && !hits.has(i));
    const text = missing.map((branch) => `${branch.file}: ${branch.text} [${branch.arm}]`).join('\n');
    expect(covered / all, `${folder}: ${covered} of ${all}, without\n${text}`).toBeGreaterThanOrEqual(ENOUGH);
  }
  expect(withoutBranches(counted)).toEqual(WITHOUT_BRANCHES);
});

/** Sources of the folders in which there is nothing to count: each is known to have none. */
const WITHOUT_BRANCHES: readonly string[] = [
  ...['src/tcp/congestion.ts', 'src/tcp/counters.ts', 'src/wire/bytes.ts', 'src/wire/checksum.ts'],
  ...['src/wire/icmpv4.ts', 'src/wire/layers-values.ts'],
];

function withoutBranches(counted: ReadonlySet<string>): string[] {
  const folders = [...new Set(FOLDERS.map((folder) => folder.slice(0, folder.lastIndexOf('/'))))];
  const files = folders.flatMap((folder) =>
    readdirSync(resolve(ROOT, folder)).map((name) => `${folder}/${name}`),
  );
  const wanted = files.filter((file) => FOLDERS.some((folder) => file.startsWith(folder)));
  return wanted.filter((file) => !counted.has(file)).sort();
}

test('the corpus is small', () => {
  const folder = resolve(ROOT, 'test/fuzz/corpus');
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(resolve(folder, name)).size, 0);
  expect(bytes).toBeLessThan(MOST_BYTES);
});
