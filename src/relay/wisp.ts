// The packets of wisp, the published protocol that carries TCP and UDP streams over one WebSocket: one packet a message.
// Numbers are little-endian. Its specification is protocol.md of the project wisp-protocol; version 1, and of version 2
// what its drafts 2 to 4 have in common, with the extensions that are listed here.
//
//   type u8 | stream u32 | payload
//
// check() comes before any accessor; then none of them fails. Nothing here throws, whatever the bytes.

import { viewOf } from '../wire/bytes.ts';
/** The subprotocol that says version 2 in the opening handshake: what servers and clients in use agree on. */
export const SUBPROTOCOL = 'wisp-v2';
export const HEADER_LEN = 5;
const CONNECT_LEN = HEADER_LEN + 3;
const EXTENSION_LEN = 5;
/** What one INFO says at most: nobody has as many. */
const MAX_EXTENSIONS = 32;
/** RFC 1035 2.3.4, as text. */
const MAX_HOSTNAME = 253;

export const PacketType = { Connect: 1, Data: 2, Continue: 3, Close: 4, Info: 5 } as const;

export const StreamKind = { Tcp: 1, Udp: 2 } as const;

export const CloseReason = {
  Unknown: 0x01,
  Voluntary: 0x02,
  NetworkError: 0x03,
  IncompatibleExtensions: 0x04,
  InvalidInfo: 0x41,
  Unreachable: 0x42,
  NoAnswer: 0x43,
  Refused: 0x44,
  TransferTimedOut: 0x47,
  Blocked: 0x48,
  Throttled: 0x49,
  ClientError: 0x81,
  BadCredentials: 0xc0,
  BadSignature: 0xc1,
  NoCredentials: 0xc2,
} as const;

export const ExtensionId = {
  Udp: 0x01,
  Password: 0x02,
  /** A CONTINUE of the server for a TCP stream says that it is connected. */
  StreamOpen: 0x05,
  /** Ours, see duplex.ts. */
  Duplex: 0x75,
} as const;

export interface Extension {
  readonly id: number;
  /** Where it was parsed from: a view of the message. */
  readonly payload: Uint8Array;
}

/** Why a message is no packet. */
export type Malformed = 'too-short' | 'unknown-type' | 'bad-length' | 'bad-stream';

/** What CONNECT asks for; `hostname` is an address or a name. */
export interface ConnectTarget {
  readonly kind: 'tcp' | 'udp';
  readonly port: number;
  readonly hostname: string;
}

/** null: the message is a packet, with a payload as long as its type wants. */
export function check(v: DataView): Malformed | null {
  if (v.byteLength < HEADER_LEN) return 'too-short';
  const isHandshake = streamId(v) === 0;
  switch (type(v)) {
    case PacketType.Connect:
      if (v.byteLength <= CONNECT_LEN) return 'bad-length';
      return isHandshake ? 'bad-stream' : null;
    case PacketType.Data:
      return isHandshake ? 'bad-stream' : null;
    case PacketType.Continue:
      return v.byteLength === HEADER_LEN + 4 ? null : 'bad-length';
    case PacketType.Close:
      return v.byteLength === HEADER_LEN + 1 ? null : 'bad-length';
    case PacketType.Info:
      if (v.byteLength < HEADER_LEN + 2) return 'bad-length';
      return isHandshake ? null : 'bad-stream';
    default:
      return 'unknown-type';
  }
}

export function type(v: DataView): number {
  return v.getUint8(0);
}

/** 0: the connection itself. */
export function streamId(v: DataView): number {
  return v.getUint32(1, true);
}

/** Of CONTINUE: packets. */
export function bufferRemaining(v: DataView): number {
  return v.getUint32(HEADER_LEN, true);
}

export function closeReason(v: DataView): number {
  return v.getUint8(HEADER_LEN);
}

export function majorVersion(v: DataView): number {
  return v.getUint8(HEADER_LEN);
}

/** Of CONNECT; null where it asks for what is none: an unknown kind, port 0, a name with characters that none has. */
export function connectTarget(v: DataView): ConnectTarget | null {
  const kind = v.getUint8(HEADER_LEN);
  const port = v.getUint16(HEADER_LEN + 1, true);
  const hostname = hostnameOf(v);
  if ((kind !== StreamKind.Tcp && kind !== StreamKind.Udp) || port === 0 || hostname === null) return null;
  return { kind: kind === StreamKind.Tcp ? 'tcp' : 'udp', port, hostname };
}

/** Letters, digits, `-`, `.`, `_` and the colons of an IPv6 address, which may have brackets. Other names are in ASCII. */
function hostnameOf(v: DataView): string | null {
  if (v.byteLength - CONNECT_LEN > MAX_HOSTNAME) return null;
  let text = '';
  for (let i = CONNECT_LEN; i < v.byteLength; i++) text += String.fromCharCode(v.getUint8(i));
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  return /^[A-Za-z0-9._:-]+$/.test(bare) ? bare : null;
}

/** Of INFO; null where their lengths do not add up, or there are more than anybody has. */
export function extensions(bytes: Uint8Array): Extension[] | null {
  const v = viewOf(bytes);
  const found: Extension[] = [];
  let at = HEADER_LEN + 2;
  while (at < bytes.length) {
    if (bytes.length - at < EXTENSION_LEN || found.length === MAX_EXTENSIONS) return null;
    const len = v.getUint32(at + 1, true);
    if (len > bytes.length - at - EXTENSION_LEN) return null;
    const from = at + EXTENSION_LEN;
    found.push({ id: v.getUint8(at), payload: bytes.subarray(from, from + len) });
    at = from + len;
  }
  return found;
}

// Making them. Each returns bytes of its own.

/** `hostname` is ASCII. */
export function connect(stream: number, { kind, port, hostname }: ConnectTarget): Uint8Array {
  const bytes = packet(PacketType.Connect, stream, 3 + hostname.length);
  const v = viewOf(bytes);
  v.setUint8(HEADER_LEN, kind === 'tcp' ? StreamKind.Tcp : StreamKind.Udp);
  v.setUint16(HEADER_LEN + 1, port, true);
  for (let i = 0; i < hostname.length; i++) bytes[CONNECT_LEN + i] = hostname.charCodeAt(i);
  return bytes;
}

/** With a copy of [off, off+len) of `from`. */
export function data(stream: number, from: Uint8Array, off = 0, len = from.length): Uint8Array {
  const bytes = packet(PacketType.Data, stream, len);
  bytes.set(from.subarray(off, off + len), HEADER_LEN);
  return bytes;
}

export function continuation(stream: number, packets: number): Uint8Array {
  const bytes = packet(PacketType.Continue, stream, 4);
  viewOf(bytes).setUint32(HEADER_LEN, packets, true);
  return bytes;
}

export function close(stream: number, reason: number): Uint8Array {
  const bytes = packet(PacketType.Close, stream, 1);
  bytes[HEADER_LEN] = reason;
  return bytes;
}

/** Version 2.0. */
export function info(list: readonly Extension[]): Uint8Array {
  const len = list.reduce((sum, one) => sum + EXTENSION_LEN + one.payload.length, 2);
  const bytes = packet(PacketType.Info, 0, len);
  const v = viewOf(bytes);
  v.setUint8(HEADER_LEN, 2);
  let at = HEADER_LEN + 2;
  for (const { id, payload } of list) {
    v.setUint8(at, id);
    v.setUint32(at + 1, payload.length, true);
    bytes.set(payload, at + EXTENSION_LEN);
    at += EXTENSION_LEN + payload.length;
  }
  return bytes;
}

function packet(type: number, stream: number, payloadLen: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_LEN + payloadLen);
  const v = viewOf(bytes);
  v.setUint8(0, type);
  v.setUint32(1, stream, true);
  return bytes;
}
