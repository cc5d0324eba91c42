import { readdirSync, readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Link } from '../../src/link/link.ts';
import { openLinkPort } from '../../src/node/link-port.ts';
import { LinkNames } from '../../src/node/qemu-port.ts';
import { fakeTap, TUNSETOFFLOAD } from '../support/fake-tap.ts';

const spec = { kind: 'tap', name: 'qemu0' } as const;

describe('names are unique among the links that are up', () => {
  test('the lowest that is free, and neither a device’s nor one that is reserved for a device', () => {
    const names = new LinkNames('qemu', ['qemu1', 'tap0']);
    expect(names.claim('qemu0')).toBe(true);
    expect([names.take(), names.take()]).toEqual(['qemu2', 'qemu3']);
    expect(['qemu0', 'qemu2'].map((name) => names.claim(name))).toEqual([false, false]);
    // What is reserved is for whoever claims it, once.
    expect([names.claim('qemu1'), names.claim('qemu1')]).toEqual([true, false]);
    for (const name of ['qemu0', 'qemu1']) names.give(name);
    expect([names.take(), names.take()]).toEqual(['qemu0', 'qemu4']);
    expect(names.claim('qemu1')).toBe(true);
  });

  test('a device whose name a link has is not opened, and can be when that link is gone', async () => {
    const names = new LinkNames();
    const links: Link[] = [];
    const open = () => openLinkPort(spec, (link) => links.push(link), names, { system: fakeTap() });
    expect(names.take()).toBe('qemu0');
    await expect(open()).rejects.toThrow('tap:qemu0: another link is called qemu0');
    names.give('qemu0');
    await open();
    expect(links.map((link) => link.name)).toEqual(['qemu0']);
    expect(names.take()).toBe('qemu1');
    await expect(open()).rejects.toThrow('another link');
    await links[0]!.close();
    await open();
    await links[1]!.close();
  });

  test('a device that cannot be opened leaves its name to others', async () => {
    const names = new LinkNames();
    const system = { ...fakeTap(), platform: 'darwin' };
    await expect(openLinkPort(spec, () => {}, names, { system })).rejects.toThrow('this is darwin');
    expect(names.take()).toBe('qemu0');
  });
});

describe.runIf(process.platform === 'linux')('a device', () => {
  const devices = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === '/dev/full';
      } catch {
        // The folder itself, which is closed by now.
        return false;
      }
    }).length;

  test.each([undefined, { loss: 0.5 }])(
    'whoever gets the link throws: it is closed, and the name is free (faults: %j)',
    async (faults) => {
      const names = new LinkNames();
      const opened: number[] = [];
      const refuse = (): never => {
        opened.push(devices());
        throw new Error('takes frames of 1518 bytes, mtu 9000 needs 9014');
      };
      const asked = faults === undefined ? spec : { ...spec, faults };
      await expect(openLinkPort(asked, refuse, names, { system: fakeTap() })).rejects.toThrow(
        'takes frames of 1518 bytes, mtu 9000 needs 9014',
      );
      expect(opened).toEqual([1]);
      expect(devices()).toBe(0);
      expect(names.take()).toBe('qemu0');
    },
  );

  test('is asked for frames with their checksums done, one segment each, whoever had it before', async () => {
    const links: Link[] = [];
    const system = fakeTap();
    await openLinkPort(spec, (link) => links.push(link), undefined, { system });
    expect(system.calls.filter(({ request }) => request === TUNSETOFFLOAD)).toEqual([
      { request: TUNSETOFFLOAD, type: 'unsigned long', argument: 0 },
    ]);
    for (const link of links) await link.close();
    const refusing = fakeTap((request) => (request === TUNSETOFFLOAD ? 22 : 0));
    await expect(openLinkPort(spec, () => {}, undefined, { system: refusing })).rejects.toThrow(
      'tap:qemu0: its offloads cannot be turned off: EINVAL',
    );
    expect(devices()).toBe(0);
  });
});
