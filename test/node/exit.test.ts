import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

test('after close() nothing is left that keeps the process alive', () => {
  const root = resolve(import.meta.dirname, '../..');
  const args = ['tools/run.mjs', 'test/support/exits-by-itself.ts'];
  const out = execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 15_000 });
  expect(out).toMatch(/^closed (null|reset) (null|reset)$/);
});
