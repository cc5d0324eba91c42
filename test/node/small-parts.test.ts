import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/addr.ts';
import { NEVER } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { NodeClock } from '../../src/node/clock.ts';
import {
  DescriptorBudget,
  openFilesLimit,
  processDescriptors,
  socketsUnder,
} from '../../src/node/descriptors.ts';
import { toHostError } from '../../src/node/host-errors.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { parseResolvConf, Resolvers } from '../../src/node/resolvers.ts';
import { takeOverWorks } from '../../src/node/take-over.ts';

/** The alarm of another clock. */
function alarm(ms: number): Promise<void> {
  const clock = new NodeClock();
  return new Promise((resolve) => clock.setAlarm(clock.now() + ms, resolve));
}

describe('the clock of Node', () => {
  test('now() is whole and starts near zero; wallNow() is the time of day', () => {
    const clock = new NodeClock();
    expect(clock.now()).toBe(0);
    expect(Math.abs(clock.wallNow() - Date.now())).toBeLessThan(100);
  });

  test('micros() is whole, finer than now() and on its scale', () => {
    const clock = new NodeClock();
    const seen = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      const before = clock.now();
      const micros = clock.micros();
      expect(Math.floor(micros / 1000)).toBeGreaterThanOrEqual(before);
      expect(Math.floor(micros / 1000)).toBeLessThanOrEqual(clock.now());
      seen.add(micros);
    }
    expect([...seen].every(Number.isInteger)).toBe(true);
    expect(seen.size).toBeGreaterThan(100);
  });

  test('an alarm rings at its time or after, once, and only the last one set', async () => {
    const clock = new NodeClock();
    const rung: string[] = [];
    clock.setAlarm(5, () => rung.push('early'));
    await new Promise<void>((resolve) => {
      clock.setAlarm(30, () => {
        rung.push('late');
        resolve();
      });
    });
    expect(clock.now()).toBeGreaterThanOrEqual(30);
    await new Promise<void>((resolve) => {
      clock.setAlarm(10_000, () => rung.push('far'));
      clock.setAlarm(clock.now(), resolve);
    });
    clock.setAlarm(clock.now() + 1, () => rung.push('cancelled'));
    clock.setAlarm(NEVER, () => {});
    await alarm(20);
    expect(rung).toEqual(['late']);
  });

  test('an alarm further away than setTimeout can count does not ring now', async () => {
    const clock = new NodeClock();
    let rung = false;
    clock.setAlarm(2 ** 33, () => {
      rung = true;
    });
    await alarm(10);
    expect(rung).toBe(false);
    clock.setAlarm(NEVER, () => {});
  });

  test('soon() keeps every call and its order', async () => {
    const clock = new NodeClock();
    const calls: number[] = [];
    for (let i = 0; i < 3; i++) clock.soon(() => calls.push(i));
    expect(calls).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toEqual([0, 1, 2]);
  });
});

test('words from the system: signed, over the whole range, no two pools alike', () => {
  const random = new NodeRandom();
  const words = Array.from({ length: 1000 }, () => random.word());
  expect(new Set(words).size).toBeGreaterThan(995);
  expect(words.every((word) => word === (word | 0))).toBe(true);
  expect(words.some((word) => word < -(2 ** 30)) && words.some((word) => word > 2 ** 30)).toBe(true);
});

describe('descriptors', () => {
  test('as many as the limit, and again what was given back', () => {
    const budget = new DescriptorBudget(2);
    expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
    budget.give();
    expect([budget.take(), budget.take()]).toEqual([true, false]);
  });

  test('RLIMIT_NOFILE is read from the system, and 256 are left to the rest of the program', () => {
    const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
    if (limit !== 'unlimited') expect(openFilesLimit()).toBe(Number(limit));
    expect(processDescriptors.limit).toBe(socketsUnder(openFilesLimit()));
    expect([20_000, 1024, 512].map(socketsUnder)).toEqual([19_744, 768, 256]);
    // Never more than there are.
    expect([300, 256, 64].map(socketsUnder)).toEqual([150, 128, 32]);
  });
});

describe('the host’s name servers', () => {
  const text = [
    '# made by hand',
    'search example.org',
    'nameserver 192.0.2.1 # first',
    '  nameserver\t2001:db8::53',
    'nameserver fe80::1%eth0',
    'nameserver 224.0.0.251',
    'nameserver 0.0.0.0',
    'nameserver nonsense',
    'nameserver',
    'nameserver ::',
    'nameserver 192.0.2.4;',
    'options timeout:1',
  ].join('\n');

  test('resolv.conf(5): every nameserver that can be asked, in order, on port 53', () => {
    expect(parseResolvConf(text).map(formatEndpoint)).toEqual([
      '192.0.2.1:53',
      '[2001:db8::53]:53',
      '127.0.0.1:53',
      '192.0.2.4:53',
    ]);
  });

  test('follows the file, and starts and goes on without one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'usernet-'));
    const path = join(folder, 'resolv.conf');
    const clock = new ManualClock();
    const resolvers = new Resolvers(clock, path);
    expect(resolvers.current()).toEqual([]);
    writeFileSync(path, 'nameserver 192.0.2.1\n');
    expect(resolvers.current()).toEqual([]);
    clock.advance(1000);
    expect(resolvers.current().map(formatEndpoint)).toEqual(['192.0.2.1:53']);
    const list = resolvers.current();
    writeFileSync(path, 'nameserver 192.0.2.2\n');
    utimesSync(path, 1, 1);
    expect(resolvers.current()).toBe(list);
    clock.advance(1000);
    expect(resolvers.current().map(formatEndpoint)).toEqual(['192.0.2.2:53']);
    rmSync(folder, { recursive: true });
    clock.advance(1000);
    expect(resolvers.current()).toEqual([]);
  });
});

test('what the errors of the system mean to a guest', () => {
  const of = (code: string): string => toHostError(Object.assign(new Error(code), { code }));
  expect(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'ECONNRESET', 'EPIPE'].map(of)).toEqual(
    ['refused', 'host-unreachable', 'net-unreachable', 'timed-out', 'reset', 'reset'],
  );
  expect(['EACCES', 'EMFILE', 'EADDRNOTAVAIL', 'EINVAL', ''].map(of)).toEqual([
    'not-permitted',
    'exhausted',
    'exhausted',
    'failed',
    'failed',
  ]);
});

test('the connection of an accepted socket can be taken over on this Node', async () => {
  expect(await takeOverWorks()).toBe(true);
});
