// What stands behind `--link`: unix:PATH, tcp:[HOST:]PORT, ws:[HOST:]PORT or tap:NAME, then options as QEMU writes them, a
// comma in PATH doubled.

import { checkFaults, type FaultOptions, readFaultOption } from '../link/fault-options.ts';
import { ConfigError } from '../network/config.ts';
import { nameAndValue, splitAtCommas } from './comma-parts.ts';
import { tapNameFault } from './tap-name.ts';
import { readWebSocketSpec, type WebSocketLinkSpec } from './websocket-spec.ts';

/** Where guests are. */
export type LinkSpec = StreamLinkSpec | TapLinkSpec | WebSocketLinkSpec;

/** QEMU's streams: we listen there (`server`), or connect to a guest that listens. */
export type StreamLinkSpec = UnixLinkSpec | TcpLinkSpec;

/** What a link of any kind may have. */
export interface AnyLinkSpec {
  /** It is bad on purpose. */
  readonly faults?: FaultOptions;
}

/** `unix:PATH`. */
export interface UnixLinkSpec extends AnyLinkSpec {
  readonly kind: 'unix';
  /** At most 107 bytes, as the system takes it. */
  readonly path: string;
  readonly server: boolean;
  /** Connect again so long after the connection could not be made or has ended; 0 or absent: do not. */
  readonly reconnectSeconds?: number;
}

/** `tcp:HOST:PORT`. */
export interface TcpLinkSpec extends AnyLinkSpec {
  readonly kind: 'tcp';
  readonly host: string;
  /** 0 where we listen: one that the system chooses. */
  readonly port: number;
  readonly server: boolean;
  readonly reconnectSeconds?: number;
}

/** `tap:NAME`. */
export interface TapLinkSpec extends AnyLinkSpec {
  readonly kind: 'tap';
  /** The device's, see `TapOptions.name`. */
  readonly name: string;
}

/** sun_path of sockaddr_un, less the NUL at its end. */
const MAX_PATH_BYTES = 107;
const MAX_RECONNECT_SECONDS = 3600;
const DEFAULT_HOST = '127.0.0.1';

interface Draft {
  server: boolean;
  reconnectSeconds: number;
}

/** Throws a ConfigError whose path is `text` itself. */
export function parseLinkSpec(text: `unix:${string}` | `tcp:${string}`): StreamLinkSpec;
export function parseLinkSpec(text: `ws:${string}`): WebSocketLinkSpec;
export function parseLinkSpec(text: string): LinkSpec;
export function parseLinkSpec(text: string): LinkSpec {
  const [place = '', ...words] = splitAtCommas(text);
  const { options, faults } = takeFaults(text, words);
  const spec = parsePlace(text, place, options);
  return faults === null ? spec : { ...spec, faults };
}

function parsePlace(text: string, place: string, options: readonly string[]): LinkSpec {
  const colon = place.indexOf(':');
  const kind = place.slice(0, Math.max(colon, 0));
  const where = place.slice(colon + 1);
  if (kind === 'tap') return { kind, name: tapName(text, where, options) };
  if (kind === 'ws') return webSocketSpec(text, where, options);
  const draft: Draft = { server: true, reconnectSeconds: 0 };
  const said = new Set<string>();
  for (const option of options) readOption(text, option, draft, said);
  if (draft.server && draft.reconnectSeconds > 0) fail(text, 'reconnect= needs server=off');
  if (kind === 'unix') return { kind, path: unixPath(text, where), ...draft };
  if (kind === 'tcp') return { kind, ...tcpEndpoint(text, where, draft.server), ...draft };
  return fail(text, 'begins with none of unix:, tcp:, ws: and tap:');
}

/** The faults among `words`, and the other options. */
function takeFaults(text: string, words: string[]): { options: string[]; faults: FaultOptions | null } {
  let faults: FaultOptions | null = null;
  const options: string[] = [];
  try {
    for (const word of words) {
      const said = readFaultOption(word, faults ?? {});
      if (said === null) options.push(word);
      else faults = said;
    }
    if (faults !== null) checkFaults(faults);
    return { options, faults };
  } catch (error) {
    if (error instanceof RangeError) fail(text, error.message);
    throw error;
  }
}

/** `said`: the names that were read before it. */
function readOption(text: string, option: string, draft: Draft, said: Set<string>): void {
  const [name, value] = nameAndValue(option);
  if (said.has(name)) fail(text, `${name}= is said twice`);
  said.add(name);
  if (name === 'server') {
    if (value !== 'on' && value !== 'off') fail(text, `server=${value}: is neither on nor off`);
    draft.server = value === 'on';
  } else if (name === 'reconnect') {
    const seconds = wholeNumber(value, MAX_RECONNECT_SECONDS);
    if (seconds === null)
      fail(text, `reconnect=${value}: is no number of seconds up to ${MAX_RECONNECT_SECONDS}`);
    draft.reconnectSeconds = seconds;
  } else fail(text, `there is no option ${JSON.stringify(name)}`);
}

function tapName(text: string, name: string, [option]: readonly string[]): string {
  if (option !== undefined)
    fail(text, `there is no option ${JSON.stringify(nameAndValue(option)[0])} for a device`);
  const fault = tapNameFault(name);
  if (fault !== null) fail(text, fault);
  return name;
}

function webSocketSpec(text: string, where: string, options: readonly string[]): WebSocketLinkSpec {
  try {
    return readWebSocketSpec(tcpEndpoint(text, where, true), options);
  } catch (error) {
    if (error instanceof RangeError) fail(text, error.message);
    throw error;
  }
}

/** `5001` or `relay.example:5001`, to listen at. Throws a ConfigError. */
export function parseListenPlace(text: string): { host: string; port: number } {
  return tcpEndpoint(text, text, true);
}

function unixPath(text: string, path: string): string {
  if (path === '') fail(text, 'the path is missing');
  if (path.includes('\0')) fail(text, 'the path has a NUL in it');
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) fail(text, `the path is longer than ${MAX_PATH_BYTES} bytes`);
  return path;
}

function tcpEndpoint(text: string, where: string, server: boolean): { host: string; port: number } {
  const colon = where.lastIndexOf(':');
  const port = wholeNumber(where.slice(colon + 1), 65535);
  if (port === null || (port === 0 && !server)) fail(text, 'ends in no port');
  const host = colon < 0 ? DEFAULT_HOST : unbracketed(text, where.slice(0, colon));
  return { host, port };
}

/** `[::1]` to `::1`. An IPv6 address needs the brackets, nothing else may have them. */
function unbracketed(text: string, host: string): string {
  const inner = /^\[([0-9a-fA-F:.]+(?:%[\w.]+)?)\]$/.exec(host)?.[1];
  if (inner?.includes(':')) return inner;
  if (!/^[\w.-]+$/.test(host)) fail(text, `${JSON.stringify(host)} is no host`);
  return host;
}

function wholeNumber(text: string, max: number): number | null {
  return /^\d{1,5}$/.test(text) && Number(text) <= max ? Number(text) : null;
}

function fail(text: string, reason: string): never {
  throw new ConfigError(text, reason);
}
