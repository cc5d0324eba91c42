import { closeSync, fstatSync, openSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { createMemory } from '../../src/base/memory.ts';
import { type Libc, loadLibc } from '../../src/node/libc.ts';
import { openLinkPort } from '../../src/node/link-port.ts';
import { openTap } from '../../src/node/tap.ts';
import { faultOf, readingSocket, type TapSystem } from '../../src/node/tap-device.ts';
import { tapNameFault } from '../../src/node/tap-name.ts';
import { fakeTap, SIOCSIFMTU } from '../support/fake-tap.ts';

const never = (): Promise<unknown> => {
  throw new Error('koffi is not asked for');
};

/** A koffi whose ioctl fails with `errno`. */
const failing = (errno: number) => async () => ({
  default: {
    load: () => ({ func: () => () => -1 }),
    errno: () => errno,
    address: () => 0n,
  },
});

const noKoffi = async (): Promise<unknown> => {
  throw new Error("Cannot find package 'koffi' imported from usernet\nrequire stack");
};

function errorOf(name: string, system: Partial<TapSystem>, mtu?: number): Promise<string> {
  const options = mtu === undefined ? { name } : { name, mtu };
  return openTap(options, { platform: 'linux', importKoffi: never, ...system }).then(
    async (link) => {
      await link.close();
      return 'none';
    },
    (error: Error) => error.message,
  );
}

describe('a name that no device has', () => {
  test.each([
    ['', 'the name of the device is missing'],
    ['a'.repeat(16), 'the name of the device is longer than 15 characters'],
    ['a/b', 'the name of the device has characters that no device has'],
    ['a b', 'the name of the device has characters that no device has'],
    ['a:1', 'the name of the device has characters that no device has'],
    ['tap%d', 'the name of the device has characters that no device has'],
    ['a\0', 'the name of the device has characters that no device has'],
    ['all', 'Linux keeps the name all for itself'],
    ['default', 'Linux keeps the name default for itself'],
    ['..', 'the name of the device has characters that no device has'],
  ])('%j', async (name, fault) => {
    expect(tapNameFault(name)).toBe(fault);
    expect(await errorOf(name, {})).toBe(`tap:${name}: ${fault}`);
  });

  test.each(['\u00e4', 'a\x01b', 'net\u20ac0'])(
    'one that a device could have, but not here: %j',
    async (name) => {
      const fault = 'the name of the device has characters that are not supported: only visible ASCII is';
      expect(tapNameFault(name)).toBe(fault);
      expect(await errorOf(name, {})).toBe(`tap:${name}: ${fault}`);
    },
  );

  test('one of 15 characters is none of these, nor is one that only begins like a reserved one', () => {
    for (const name of ['abcdefghij-._@5', 'all0', 'default0', 'All']) expect(tapNameFault(name)).toBeNull();
  });
});

describe('one line that says what is missing', () => {
  test('another system', async () => {
    expect(await errorOf('tap0', { platform: 'darwin' })).toBe(
      'tap:tap0: TAP devices are opened on Linux, this is darwin',
    );
  });

  test('no koffi', async () => {
    expect(await errorOf('tap0', { importKoffi: noKoffi })).toBe(
      "tap:tap0: needs the package koffi: npm install koffi (Cannot find package 'koffi' imported from usernet)",
    );
  });

  test('no driver', async () => {
    const system = { importKoffi: failing(1), devicePath: '/dev/no-such-tun' };
    expect(await errorOf('tap0', system)).toBe(
      'tap:tap0: there is no /dev/no-such-tun: modprobe tun makes it',
    );
  });

  // Any file that can be opened will do: the calls are ours.
  test.each([
    [1, "no permission: needs CAP_NET_ADMIN, or a device made for this user with 'ip tuntap add'"],
    [16, 'the device is in use'],
    [22, 'there is such a device, and it is no TAP of one queue'],
    [77, 'the device cannot be made: error 77'],
    [12, 'the device cannot be made: ENOMEM'],
  ])('errno %i', async (errno, fault) => {
    const system = { importKoffi: failing(errno), devicePath: '/dev/null' };
    expect(await errorOf('tap0', system)).toBe(`tap:tap0: ${fault}`);
  });

  test.each([1500.5, 67, 65_522, 2 ** 32 + 1500, Number.NaN, -1500])('an MTU of %d', async (mtu) => {
    // Before anything is opened.
    expect(await errorOf('tap0', { importKoffi: never }, mtu)).toBe(
      `tap:tap0: an MTU of ${mtu}: is no whole number from 68 to 65521`,
    );
  });

  test.each([
    [1, 'no permission to change its MTU from 1500 to 9000'],
    [22, 'the device refuses an MTU of 9000: EINVAL'],
  ])('an MTU that the system refuses with %i', async (errno, fault) => {
    const system = fakeTap((request) => (request === SIOCSIFMTU ? errno : 0));
    expect(await errorOf('tap0', system, 9000)).toBe(`tap:tap0: ${fault}`);
    expect(await errorOf('tap0', system, 1500)).toBe('none');
  });

  test('from --link too, and a fault out of its range is told before anything is opened', async () => {
    const system = { importKoffi: noKoffi, platform: 'linux' };
    const spec = { kind: 'tap', name: 'tap0' } as const;
    await expect(openLinkPort(spec, () => {}, undefined, { system })).rejects.toThrow('npm install koffi');
    await expect(openLinkPort({ ...spec, faults: { loss: 2 } }, () => {})).rejects.toThrow(RangeError);
  });

  test('a device that goes, and one that fails otherwise', () => {
    expect(faultOf('error 77')).toBe('the device was deleted');
    expect(faultOf('EFAULT')).toBe('the device fails: EFAULT');
  });
});

describe.runIf(process.platform === 'linux')('the C library', () => {
  test('addresses, errno, and descriptors', async () => {
    const libc = await loadLibc();
    const fds = new Int32Array(2);
    expect(libc.pipe2(fds, 0o2000000)).toBe(0);
    const { bytes } = createMemory(1 << 16, (buffer) => Buffer.from(buffer));
    bytes.set(Buffer.from('through a pipe'), 100);
    const at = libc.addressOf(bytes);
    expect(libc.write(fds[1]!, at + 100, 14)).toBe(14);
    expect(libc.read(fds[0]!, at + 65000, 100)).toBe(14);
    expect(String.fromCharCode(...bytes.subarray(65000, 65014))).toBe('through a pipe');
    expect(libc.dup3(fds[0]!, fds[1]!, 0)).toBe(fds[1]);
    expect(libc.write(fds[1]!, at, 1)).toBe(-1);
    expect(libc.errno()).toBe(9);
    for (const fd of fds) closeSync(fd);
  });
});

describe.runIf(process.platform === 'linux')('a socket that cannot be made to read from the device', () => {
  const isOpen = (fd: number): boolean => {
    try {
      fstatSync(fd);
      return true;
    } catch {
      return false;
    }
  };

  /** With these functions in the place of the system's. */
  async function refusalOf(functions: Partial<Libc>): Promise<{ error: string; deviceStays: boolean }> {
    const libc = { ...(await loadLibc()), ...functions };
    const fd = openSync('/dev/null', 'r');
    try {
      readingSocket({ libc, fd, mtu: 1500 }, { buffer: Buffer.alloc(1), callback: () => true });
      return expect.fail('there is one');
    } catch (error) {
      return { error: (error as Error).message, deviceStays: isOpen(fd) };
    } finally {
      closeSync(fd);
    }
  }

  test('Node takes the pipe for none: both of its ends are closed, the device is not', async () => {
    const made: number[] = [];
    const pipe2 = (ends: Int32Array): number => {
      // A device of characters: Node has no stream for it.
      for (const i of [0, 1]) {
        ends[i] = openSync('/dev/full', 'r');
        made.push(ends[i]!);
      }
      return 0;
    };
    const { error, deviceStays } = await refusalOf({ pipe2 });
    expect(error).toContain('Unsupported fd type');
    expect(deviceStays).toBe(true);
    expect(made.map(isOpen)).toEqual([false, false]);
  });

  test('no descriptor is left: the reason is asked for before anything is closed', async () => {
    const { pipe2 } = await loadLibc();
    const made: number[] = [];
    let openThen: boolean[] = [];
    const { error, deviceStays } = await refusalOf({
      pipe2: (ends, flags) => {
        const result = pipe2(ends, flags);
        made.push(...ends);
        return result;
      },
      dup3: () => -1,
      errno: () => {
        openThen = made.map(isOpen);
        return 24;
      },
    });
    expect(error).toBe('no descriptor: EMFILE');
    expect(openThen).toEqual([true, true]);
    expect(deviceStays).toBe(true);
    await vi.waitFor(() => expect(made.map(isOpen)).toEqual([false, false]));
  });
});
