// The README's example, as it stands there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

test('the three lines of the README run, and find no difference', async () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const code = /```ts\n(import \{ readFileSync \}[^`]*await replay\([^`]*)```/.exec(readme)?.[1];
  expect(code).toBeDefined();
  const body = (code ?? '').replace(/^import .*\n/gm, '').replace("'pcaps/", `'${join(ROOT, 'pcaps')}/`);
  const { readCapture, replay } = await import('../../src/pcap.ts');
  const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor as new (
    ...words: string[]
  ) => (...values: unknown[]) => Promise<string>;
  const run = new AsyncFunction('readFileSync', 'readCapture', 'replay', `${body}; return String(matters);`);
  expect(await run(readFileSync, readCapture, replay)).toBe('false');
});
