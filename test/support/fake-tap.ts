import { openSync } from 'node:fs';
import type { TapSystem } from '../../src/node/tap-device.ts';

export const TUNSETOFFLOAD = process.arch === 'ppc64' ? 0x800454d0 : 0x400454d0;
export const SIOCGIFMTU = 0x8921;
export const SIOCSIFMTU = 0x8922;

export interface IoctlCall {
  readonly request: number;
  readonly type: string;
  readonly argument: Uint8Array | number;
}

/**
 * A system with a TAP driver that needs no privilege: a device can be opened and asked, and carries no frame. Its ioctl
 * fails with the number that `errnoOf` gives a request, and `mtu` is what the device says its MTU is. The descriptors are
 * real, those of /dev/full, so a test can count them. `more`: functions of the C library that it has besides.
 */
export function fakeTap(
  errnoOf: (request: number) => number = () => 0,
  mtu = 1500,
  more: { readonly [name: string]: unknown } = {},
): TapSystem & { readonly calls: IoctlCall[] } {
  const calls: IoctlCall[] = [];
  let errno = 0;
  const ioctl = (_fd: number, request: number, type: string, argument: Uint8Array | number): number => {
    calls.push({ request, type, argument });
    errno = errnoOf(request);
    if (errno !== 0) return -1;
    if (request === SIOCGIFMTU && typeof argument === 'object')
      new Int32Array(argument.buffer, argument.byteOffset + 16, 1)[0] = mtu;
    return 0;
  };
  const functions: { readonly [name: string]: unknown } = {
    ioctl,
    // To be closed like a real one.
    socket: () => openSync('/dev/null', 'r'),
    ...more,
  };
  const koffi = {
    load: () => ({ func: (name: string) => functions[name] ?? (() => -1) }),
    errno: () => errno,
    address: () => 0n,
  };
  return {
    platform: 'linux',
    devicePath: '/dev/full',
    importKoffi: async () => ({ default: koffi }),
    calls,
  };
}
