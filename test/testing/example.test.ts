import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';

const EXAMPLE = join(import.meta.dirname, '../../tools/examples/test-your-client.ts');

test('the example tests its client over a bad cable, in forty lines and two seconds', async () => {
  expect(readFileSync(EXAMPLE, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(40);
  const said: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
  const since = performance.now();
  await import('../../tools/examples/test-your-client.ts');
  log.mockRestore();
  expect(performance.now() - since).toBeLessThan(10_000);
  expect(said[0]).toMatch(/^1048576 bytes in \d+ ms of virtual time$/);
  const lost = /^(\d+) frames lost, (\d+) segments sent again, every byte as it should be$/.exec(
    said[1] ?? '',
  );
  expect(Number(lost?.[1])).toBeGreaterThan(20);
  expect(Number(lost?.[2])).toBeGreaterThan(10);
});
