// What a program that serves guests says first: where, what to paste into QEMU's command, and what the guest can reach.

import { formatEndpoint, formatIpv4Word } from '../base/addr.ts';
import type { Settings } from '../base/settings.ts';
import { type FaultOptions, faultsText } from '../link/fault-options.ts';
import { joinOptions, type QemuOption } from '../network/qemu-options.ts';
import type { LinkSpec, StreamLinkSpec } from '../node/link-spec.ts';
import { bracketed, DENIED_TO_PAGES, type WebSocketLinkSpec, webSocketUrl } from '../node/websocket-spec.ts';

/** What the network is, and what it opens to the guest and to the outside. */
export function networkLines(settings: Settings): string[] {
  return [networkLine(settings), ...reachLines(settings), ...settings.forwards.map(forwardLine)];
}

function networkLine(s: Settings): string {
  const parts = [`network ${prefixText(s)}`, `gateway ${formatIpv4Word(s.gateway)}`];
  if (s.dns !== null && !s.restrict) parts.push(`name service ${formatIpv4Word(s.dns.address)}`);
  if (s.dhcp !== null) parts.push(`first lease ${formatIpv4Word(s.dhcp.first)}`);
  if (s.mtu !== 1500) parts.push(`MTU ${s.mtu}`);
  return parts.join(', ');
}

function prefixText(s: Settings): string {
  return `${formatIpv4Word(s.subnet)}/${s.prefix}`;
}

function reachLines(s: Settings): string[] {
  if (s.restrict) return ['the guest can reach nothing outside its network'];
  return s.hostLoopback
    ? [`the guest can reach this host's loopback through ${formatIpv4Word(s.gateway)}`]
    : [];
}

export function forwardLine(f: Settings['forwards'][number]): string {
  const guest = `${formatIpv4Word(f.guestAddress)}:${f.guestPort}`;
  const port = f.host.port === 0 ? ' (a port that the host chooses)' : '';
  return forwardText(f.proto, `${formatEndpoint(f.host)}${port}`, guest);
}

export function forwardText(proto: string, host: string, guest: string): string {
  return `forward ${proto} ${host} to the guest's ${guest}`;
}

/**
 * Where guests are served, with the other side of it: QEMU's option, or the commands for a namespace. Of all links
 * together, because each device needs a namespace and an address of its own. `isolated`: a network for each link.
 */
export function linkLines(specs: readonly LinkSpec[], settings: Settings, isolated: boolean): string[] {
  const isLeased = !isolated && specs.some(isStream);
  let addresses = guestAddresses(settings, isLeased);
  return specs.flatMap((spec) => {
    if (isolated) addresses = guestAddresses(settings, false);
    const lines = isStream(spec)
      ? streamLines(spec)
      : spec.kind === 'ws'
        ? webSocketLines(spec)
        : tapLines(spec.name, settings, addresses);
    return [...lines, ...faultLines(spec.faults)];
  });
}

/** Are its guests QEMU's? */
export function isStream(spec: LinkSpec): spec is StreamLinkSpec {
  return spec.kind === 'unix' || spec.kind === 'tcp';
}

/**
 * Addresses for guests that do not ask DHCP. Where nobody does, those that it would lease first, because forwards lead to
 * the first of all; beside guests that do (`isLeased`), those that it leases to nobody, from the pool outwards.
 */
function* guestAddresses(s: Settings, isLeased: boolean): Generator<number> {
  if (s.dhcp === null) return;
  const [first, last] = [s.dhcp.first >>> 0, s.dhcp.last >>> 0];
  const taken = [s.gateway, s.dns?.address, ...s.dhcp.staticLeases.map(({ address }) => address)];
  const isFree = (address: number): boolean => !taken.includes(address | 0);
  if (isLeased) {
    for (let address = first - 1; address > s.subnet >>> 0; address--) if (isFree(address)) yield address;
    for (let address = last + 1; address < s.broadcast >>> 0; address++) if (isFree(address)) yield address;
  } else for (let address = first; address <= last; address++) if (isFree(address)) yield address;
}

function streamLines(spec: StreamLinkSpec): string[] {
  const where = spec.kind === 'unix' ? spec.path : `${bracketed(spec.host)}:${spec.port}`;
  const verb = spec.server ? 'serving guests on' : 'connecting to the guest at';
  return [`${verb} ${where}; for QEMU:`, `  ${qemuLine(spec)}`];
}

function tapLines(device: string, settings: Settings, addresses: Generator<number>): string[] {
  const name = shellWord(device);
  const ns = shellWord(`guest-${device}`);
  const { value } = addresses.next() as IteratorResult<number, undefined>;
  const address = `${value === undefined ? 'ADDRESS' : formatIpv4Word(value)}/${settings.prefix}`;
  const gateway = formatIpv4Word(settings.gateway);
  return [
    `serving the device ${device}; for a network namespace as the guest:`,
    `  ip netns add ${ns} && ip link set ${name} netns ${ns} && ip -n ${ns} link set ${name} up`,
    `  ip -n ${ns} addr add ${address} dev ${name} && ip -n ${ns} route add default via ${gateway}`,
  ];
}

function webSocketLines(spec: WebSocketLinkSpec): string[] {
  const { host, port, shared = false, hostLoopback = false, deny = DENIED_TO_PAGES } = spec;
  const apart = shared ? 'on a network that they share' : 'each on a network of its own';
  return [
    `serving WebSocket guests on ${bracketed(host)}:${port}, ${apart}; for an emulator in a page:`,
    `  ${webSocketUrl(spec)}`,
    ...(spec.token === null ? ['  anyone who can connect there is a guest: no token is needed'] : []),
    `  pages that may connect: ${pagesText(spec)}`,
    keptLine({ hostLoopback, deny }),
  ];
}

/** What pages do not reach: two kinds of addresses never. */
export function keptLine(kept: { readonly hostLoopback: boolean; readonly deny: readonly string[] }): string {
  const loopback = kept.hostLoopback ? [] : ["this host's loopback"];
  return `  they do not reach: ${[...new Set([...loopback, ...kept.deny, 'link-local', 'metadata'])].join(', ')}`;
}

/** Which pages may open a WebSocket of ours. */
export function pagesText({ origins, token }: Pick<WebSocketLinkSpec, 'origins' | 'token'>): string {
  if (origins === undefined)
    return token === null ? 'none, as no origin is said' : "those of this host's own servers";
  return origins.includes('*') ? 'any' : origins.join(', ');
}

function faultLines(faults: FaultOptions | undefined): string[] {
  return faults === undefined ? [] : [`  this link is bad on purpose: ${faultsText(faults)}`];
}

/** Several guests on one network need a MAC each; QEMU gives every guest the same. */
export const MAC_LINE =
  'a second guest on this network needs a MAC of its own: -device virtio-net-pci,netdev=net0,mac=52:54:00:12:34:57';

/** `-netdev stream,... -device ...`, ready for a shell. */
export function qemuLine(spec: StreamLinkSpec): string {
  const options: QemuOption[] = [
    ['type', 'stream'],
    ['id', 'net0'],
    ['server', spec.server ? 'off' : 'on'],
    ...addressOptions(spec),
  ];
  return `-netdev ${shellWord(joinOptions(options, 'type'))} -device virtio-net-pci,netdev=net0`;
}

function addressOptions(spec: StreamLinkSpec): QemuOption[] {
  if (spec.kind === 'unix') {
    return [
      ['addr.type', 'unix'],
      ['addr.path', spec.path],
    ];
  }
  return [
    ['addr.type', 'inet'],
    ['addr.host', spec.host],
    ['addr.port', String(spec.port)],
  ];
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
