// What stands behind `--link ws:`: where a WebSocket link listens, who may come in, and what its guests may reach.

import { isIPv6 } from 'node:net';
import type { AddrRange } from '../base/ranges.ts';
import { ConfigError, type NetworkConfig } from '../network/config.ts';
import { denyOf } from '../network/config-deny.ts';
import { nameAndValue } from './comma-parts.ts';
import type { AnyLinkSpec } from './link-spec.ts';
import { checkDoor } from './websocket-guard.ts';

/** A message is a frame, or messages are a stream of frames, each behind its length as QEMU's are. */
export type WebSocketFormat = 'frame' | 'length-prefixed';

/** `ws:HOST:PORT`, with its options. */
export interface WebSocketLinkSpec extends AnyLinkSpec {
  readonly kind: 'ws';
  readonly host: string;
  /** 0: one that the system chooses. */
  readonly port: number;
  /**
   * What the URL has to have, 16 to 128 letters, digits, `-` and `_`. Absent: one is made, of 128 random bits. null:
   * none is needed, and then no page comes in but those of `origins`.
   */
  readonly token?: string | null;
  /**
   * Pages that may connect, as browsers say where they are from: `https://example.org`. `*` for any, where there is a
   * token. Absent: pages of this computer's own servers (localhost, 127.0.0.1, [::1]), where there is a token. What is no
   * browser says nothing of the kind, and needs the token alone.
   */
  readonly origins?: readonly string[];
  /** Names that the server is known by, without a port, besides `localhost`, IP addresses, and `host`. */
  readonly hosts?: readonly string[];
  /** Absent: `length-prefixed` for who asks for the subprotocol `binary`, as programs made by Emscripten do, else `frame`. */
  readonly format?: WebSocketFormat;
  /** Are its guests on one network? Absent: each is on one of its own. */
  readonly shared?: boolean;
  /** Guests at a time, 1 to 1024; who comes then is turned away. Default 64. */
  readonly clients?: number;
  /** Does the gateway lead to this host's loopback? Default false. */
  readonly hostLoopback?: boolean;
  /** As in a network's configuration. Default DENIED_TO_PAGES. */
  readonly deny?: readonly string[];
}

/** What guests of pages do not reach, unless somebody says otherwise: the user's own networks. */
export const DENIED_TO_PAGES: readonly string[] = ['private', 'cgnat', 'link-local', 'metadata'];

/** Where it listens, and what a client is given: `ws://127.0.0.1:8086/?token=...`. */
export function webSocketUrl({ host, port, token }: WebSocketLinkSpec): string {
  return `ws://${shownHost(host)}:${port}/${typeof token === 'string' ? `?token=${token}` : ''}`;
}

/** The host in a URL for who listens at `host`: every address of this computer has a name of its own. */
export function shownHost(host: string): string {
  return ['0.0.0.0', '::'].includes(host) ? 'localhost' : bracketed(host);
}

/** As it stands before a port. */
export function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/**
 * `config` for the guests of pages: neither the host's loopback nor DENIED_TO_PAGES, unless `config` or the link says
 * otherwise.
 */
export function pageGuestConfig(
  config: NetworkConfig,
  { hostLoopback, deny }: Pick<WebSocketLinkSpec, 'hostLoopback' | 'deny'> = {},
): NetworkConfig {
  return {
    ...config,
    hostLoopback: hostLoopback ?? config.hostLoopback ?? false,
    deny: deny ?? config.deny ?? DENIED_TO_PAGES,
  };
}

export const DEFAULT_CLIENTS = 64;
const MAX_CLIENTS = 1024;
const FORMATS = ['frame', 'length-prefixed'] as const;

type Draft = { -readonly [K in keyof WebSocketLinkSpec]: WebSocketLinkSpec[K] };
type Reader = (draft: Draft, value: string) => void;

const READERS: Readonly<Record<string, Reader>> = {
  token: (d, value) => {
    d.token = value === 'none' ? null : value;
  },
  origin: (d, value) => {
    d.origins = [...(d.origins ?? []), value];
  },
  host: (d, value) => {
    d.hosts = [...(d.hosts ?? []), value];
  },
  format: (d, value) => {
    d.format = value as WebSocketFormat;
  },
  shared: (d, value) => {
    d.shared = value === '' || flag('shared', value);
  },
  clients: (d, value) => {
    d.clients = /^\d{1,4}$/.test(value) ? Number(value) : Number.NaN;
  },
  'host-loopback': (d, value) => {
    d.hostLoopback = value === '' || flag('host-loopback', value);
  },
  deny: (d, value) => {
    d.deny = [...(d.deny ?? []), value];
  },
};

/** The names of all options, as they are written. */
export const webSocketOptionNames: readonly string[] = Object.keys(READERS);

/** The spec of `ws:HOST:PORT` with these options. Throws a RangeError whose message is one line. */
export function readWebSocketSpec(
  { host, port }: { readonly host: string; readonly port: number },
  options: readonly string[],
): WebSocketLinkSpec {
  const draft: Draft = { kind: 'ws', host, port };
  const said = new Set<string>();
  for (const option of options) {
    const [name, value] = nameAndValue(option);
    const reader = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    if (reader === undefined) throw new RangeError(`there is no option ${JSON.stringify(name)}`);
    const isList = ['origin', 'host', 'deny'].includes(name);
    if (said.has(name) && !isList) throw new RangeError(`${name}= is said twice`);
    said.add(name);
    reader(draft, value);
  }
  return checkWebSocketSpec(draft.deny === undefined ? draft : { ...draft, deny: saidRanges(draft.deny) });
}

/** The same, its origins in the form in which browsers say them. Throws a RangeError that names the option. */
export function checkWebSocketSpec(spec: WebSocketLinkSpec): WebSocketLinkSpec {
  const { token, format, clients } = spec;
  if (format !== undefined && !FORMATS.includes(format))
    throw new RangeError(`format=${format}: is neither ${FORMATS.join(' nor ')}`);
  if (clients !== undefined && !(Number.isInteger(clients) && clients >= 1 && clients <= MAX_CLIENTS))
    throw new RangeError(`clients= is no number from 1 to ${MAX_CLIENTS}`);
  checkDeny(spec.deny);
  const origins = checkDoor(spec, token === null);
  return origins === null ? spec : { ...spec, origins };
}

/** The ranges of deny=. Throws a RangeError that names it. */
export function checkDeny(deny: readonly string[] | undefined): readonly AddrRange[] {
  try {
    return denyOf('deny', deny);
  } catch (error) {
    if (error instanceof ConfigError)
      throw new RangeError(error.message.replace(/^deny(\[\d+\])?: /, 'deny='));
    throw error;
  }
}

/** deny= as it was said: `none` stands for an empty list, and alone. Throws a RangeError that names it. */
export function saidRanges(said: readonly string[]): readonly string[] {
  if (!said.includes('none')) return said;
  if (said.length > 1) throw new RangeError('deny=none: stands alone');
  return [];
}

function flag(name: string, value: string): boolean {
  if (value !== 'on' && value !== 'off') throw new RangeError(`${name}=${value}: is neither on nor off`);
  return value === 'on';
}
