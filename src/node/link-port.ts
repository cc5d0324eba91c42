// What `--link` opens, whatever its kind.

import { checkFaults } from '../link/fault-options.ts';
import { faultyLink } from '../link/faults.ts';
import type { LinkSpec, TapLinkSpec } from './link-spec.ts';
import { LinkNames, type OnLink, openQemuPort, type QemuPortOptions } from './qemu-port.ts';
import { openTap } from './tap.ts';
import type { TapSystem } from './tap-device.ts';

export interface LinkPort {
  /** What was asked for, with the port that the system chose where that was 0. */
  readonly spec: LinkSpec;
  /** No more links come; those that are there stay. */
  close(): Promise<void>;
}

export interface LinkPortOptions extends QemuPortOptions {
  /** Bytes; what a TAP device's MTU is set to. Absent: it keeps what it has. */
  readonly mtu?: number;
  /** What a test may bring in place of the system. */
  readonly system?: Partial<TapSystem>;
}

/** A port of QEMU's streams, or a TAP device, whose only link is there when this resolves. */
export function openLinkPort(
  spec: LinkSpec,
  onLink: OnLink,
  names: LinkNames = new LinkNames(),
  options: LinkPortOptions = {},
): Promise<LinkPort> {
  return spec.kind === 'tap'
    ? openTapPort(spec, onLink, options)
    : openQemuPort(spec, onLink, names, options);
}

async function openTapPort(spec: TapLinkSpec, onLink: OnLink, options: LinkPortOptions): Promise<LinkPort> {
  checkFaults(spec.faults ?? {});
  const { mtu, system } = options;
  const link = await openTap(mtu === undefined ? { name: spec.name } : { name: spec.name, mtu }, system);
  onLink(spec.faults === undefined ? link : faultyLink(link, spec.faults));
  return { spec, close: () => Promise.resolve() };
}
