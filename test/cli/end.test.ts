import { expect, test } from 'vitest';
import { End } from '../../src/cli/end.ts';
import type { Serving } from '../../src/cli/serving.ts';
import type { Link } from '../../src/link/link.ts';
import { parseLinkSpec } from '../../src/node/link-spec.ts';

/** What `usernet run` does with its links, each opened by hand; a link is accepted unless it is one of `refused`. */
class RunBench {
  readonly end: End;
  private readonly serving: Serving;
  private readonly arrivals = new Map<string, { opened: () => void; failed: (error: Error) => void }>();
  private readonly onLink = new Map<string, (link: Link) => void>();

  constructor(links: readonly string[], refused: readonly string[] = []) {
    const specs = links.map((text) => parseLinkSpec(text));
    this.end = new End(specs);
    const accept = async (link: Link): Promise<boolean> => !refused.includes(link.name);
    const nothing = async (): Promise<void> => {};
    this.serving = { accept, start: nothing, close: nothing, print: () => {} };
    for (const [i, spec] of specs.entries()) {
      const link = links[i]!;
      this.onLink.set(link, this.end.counted(spec, this.serving));
      this.end.awaits(
        new Promise<void>((opened, failed) => void this.arrivals.set(link, { opened, failed })),
      );
    }
  }

  /** The link is opened, and its guest, if it has one, is there. */
  async opens(link: string, guest: string | null): Promise<void> {
    if (guest !== null) this.onLink.get(link)!({ name: guest } as Link);
    this.arrivals.get(link)!.opened();
    await settled();
  }

  async fails(link: string, error: Error): Promise<void> {
    this.arrivals.get(link)!.failed(error);
    await settled();
  }

  async leaves(guest: string): Promise<void> {
    this.end.events['guest-down']({ link: guest, reason: 'gone' });
    await settled();
  }

  get isOver(): boolean {
    return this.end.signal.aborted;
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('the only device is refused: it is over, and failed', async () => {
  const bench = new RunBench(['tap:a'], ['a']);
  await bench.opens('tap:a', 'a');
  expect(bench.isOver).toBe(true);
  await bench.end.come();
  expect(bench.end.status).toBe(1);
});

test('a device goes, or is refused, while another is still to be opened: that one is waited for', async () => {
  const bench = new RunBench(['tap:a', 'tap:b', 'tap:c'], ['a']);
  await bench.opens('tap:a', 'a');
  expect(bench.isOver).toBe(false);
  await bench.opens('tap:b', 'b');
  await bench.leaves('b');
  expect(bench.isOver).toBe(false);
  await bench.opens('tap:c', 'c');
  expect(bench.isOver).toBe(false);
  await bench.leaves('c');
  expect(bench.isOver).toBe(true);
  // It did not serve all that it was asked to.
  expect(bench.end.status).toBe(1);
});

test('the last of several guests has gone: it is over, and well', async () => {
  const bench = new RunBench(['tap:a', 'tcp:7000,server=off']);
  await bench.opens('tap:a', 'a');
  await bench.leaves('a');
  expect(bench.isOver).toBe(false);
  await bench.opens('tcp:7000,server=off', 'qemu0');
  expect(bench.isOver).toBe(false);
  await bench.leaves('qemu0');
  expect(bench.isOver).toBe(true);
  expect(bench.end.status).toBe(0);
});

test('where somebody listens it goes on, and a guest that is refused there is no failure', async () => {
  const bench = new RunBench(['unix:/a'], ['qemu0']);
  await bench.opens('unix:/a', 'qemu0');
  expect([bench.isOver, bench.end.status]).toEqual([false, 0]);
  bench.end.now();
  await bench.end.come();
  expect(bench.end.status).toBe(0);
});

test('an attempt that fails is the end, with its error, unless it is over already', async () => {
  const bench = new RunBench(['tap:a', 'tcp:7000,server=off']);
  await bench.opens('tap:a', 'a');
  await bench.fails('tcp:7000,server=off', new Error('refused'));
  expect(bench.isOver).toBe(true);
  await expect(bench.end.come()).rejects.toThrow('refused');
  const stopped = new RunBench(['tcp:7000,server=off']);
  stopped.end.now();
  await stopped.fails('tcp:7000,server=off', new Error('closed before the connection was there'));
  await stopped.end.come();
});
