import { expect, test } from 'vitest';
import { TokenBucket } from '../../src/base/token-bucket.ts';

/** How many of `tries` at `now` are allowed. */
function allowed(bucket: TokenBucket, now: number, tries = 100): number {
  let n = 0;
  for (let i = 0; i < tries; i++) if (bucket.take(now)) n++;
  return n;
}

test('a burst at once, then so many a second, and never more than a burst', () => {
  const bucket = new TokenBucket(20, 10, 1000);
  expect(allowed(bucket, 1000)).toBe(10);
  expect(allowed(bucket, 1049)).toBe(0);
  expect(allowed(bucket, 1050)).toBe(1);
  expect(allowed(bucket, 1300)).toBe(5);
  expect(allowed(bucket, 60_000)).toBe(10);
});

test('asked every millisecond it allows no more and no less than its rate', () => {
  const bucket = new TokenBucket(20, 10, 0);
  let n = 0;
  for (let now = 0; now < 10_000; now++) n += allowed(bucket, now, 3);
  expect(n).toBeGreaterThanOrEqual(10 + 199);
  expect(n).toBeLessThanOrEqual(10 + 200);
});
