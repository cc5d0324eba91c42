// What `--link` opens, whatever its kind.

import { faultsOf } from './link-faults.ts';
import type { LinkSpec, TapLinkSpec } from './link-spec.ts';
import { LinkNames, type OnLink, openQemuPort, type QemuPortOptions } from './qemu-port.ts';
import { openTap, type TapLink } from './tap.ts';
import type { TapSystem } from './tap-device.ts';
import type { WebSocketLinkSpec } from './websocket-spec.ts';

/** Where guests come from, whatever the kind of link. */
export interface LinkPort {
  /** What was asked for, with the port that the system chose where that was 0. */
  readonly spec: LinkSpec;
  /** No more links come; those that are there stay. */
  close(): Promise<void>;
}

/** What a port is told besides its spec. */
export interface LinkPortOptions extends QemuPortOptions {
  /**
   * Bytes, as the network has it. What a TAP device's MTU is set to; absent: it keeps what it has. A WebSocket takes no
   * longer frames; absent: of 1500.
   */
  readonly mtu?: number;
  /** A WebSocket port has turned somebody away. One line; of each reason at most one a minute. */
  readonly onRefused?: (message: string) => void;
  /** @internal What a test may bring in place of the system. */
  readonly system?: Partial<TapSystem>;
}

/**
 * A port of QEMU's streams, or of WebSockets, or a TAP device, whose only link is there when this resolves. When `onLink`
 * throws, the device is closed, and this rejects with its error.
 */
export function openLinkPort(
  spec: LinkSpec,
  onLink: OnLink,
  names: LinkNames = new LinkNames(),
  options: LinkPortOptions = {},
): Promise<LinkPort> {
  if (spec.kind === 'tap') return openTapPort(spec, onLink, names, options);
  if (spec.kind === 'ws') return openWebSocket(spec, onLink, names, options);
  return openQemuPort(spec, onLink, names, options);
}

/** `ws` takes 10 ms of a start to load: only who asks for it waits for that. */
async function openWebSocket(
  spec: WebSocketLinkSpec,
  onLink: OnLink,
  names: LinkNames,
  options: LinkPortOptions,
): Promise<LinkPort> {
  const { openWebSocketPort } = await import('./websocket-port.ts');
  return openWebSocketPort(spec, onLink, names, options);
}

async function openTapPort(
  spec: TapLinkSpec,
  onLink: OnLink,
  names: LinkNames,
  { mtu, system }: LinkPortOptions,
): Promise<LinkPort> {
  const withFaults = faultsOf(spec);
  const { name } = spec;
  // Moved to another namespace, a device leaves its name here to another.
  if (!names.claim(name)) throw new Error(`tap:${name}: another link is called ${name}`);
  let tap: TapLink;
  try {
    tap = await openTap(mtu === undefined ? { name } : { name, mtu }, system);
  } catch (error) {
    names.give(name);
    throw error;
  }
  void tap.gone.then(() => names.give(name));
  const link = withFaults(tap);
  try {
    onLink(link);
  } catch (error) {
    await link.close();
    throw error;
  }
  return { spec, close: () => Promise.resolve() };
}
