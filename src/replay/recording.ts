// A capture as a conversation between guests and a network. Who is a guest is told by the caller, or follows from what
// the machines do: a DHCP client is one; a DHCP server is not, nor who has a MAC as slirp makes them. Where there is no
// such MAC, whoever a client writes to is the network, too. Where nobody asks for a lease, who speaks first is a client.

import { formatMac, parseMac } from '../base/addr.ts';
import { ConfigError } from '../network/config.ts';
import { LINK_TYPE_ETHERNET } from '../pcap/format.ts';
import type { KeptFrame } from '../pcap/frames.ts';
import { viewOf } from '../wire/bytes.ts';
import * as dhcp from '../wire/dhcp.ts';
import { Protocol } from '../wire/ipv4.ts';
import { type Decoded, decode, decodeUdp, isFragment } from './decode.ts';

/** The longest frame there is, with a VLAN tag: more than that is never sent, nor filled up to. */
const MAX_FRAME = 65_553;
/** Guests that are replayed: a flood of source addresses is no crowd of guests, and each has buffers of its own. */
const MAX_GUESTS = 64;
/** How far back, in frames and time, a frame may have been seen before on another link of the same switch. */
const COPY_FRAMES = 8;
const COPY_MICROS = 2000;
/** A longer pause in the recording is shortened to this: a day. */
const MAX_PAUSE_MICROS = 86_400_000_000;

export interface RecordedFrame {
  /** Its place in the capture, from 1. */
  readonly number: number;
  /** Microseconds since the first frame; never less than the one before. */
  readonly micros: number;
  readonly frame: Decoded;
  /** The guest that sent it, by its MAC; null: the network. */
  readonly guest: string | null;
  /** Bytes of it are missing in the capture; they are zeros here. */
  readonly isCut: boolean;
}

export interface Recording {
  /** When the first frame was seen, milliseconds since 1970. */
  readonly startMs: number;
  readonly frames: readonly RecordedFrame[];
  /** MACs, in the order in which they appear. */
  readonly guests: readonly string[];
  /** What was left out, in words. */
  readonly notes: readonly string[];
}

/** `guests`: MACs as text; none: found out. Throws a ConfigError for what is no MAC, and for one that sends no frame. */
export function recordingOf(kept: readonly KeptFrame[], guests: readonly string[] = []): Recording {
  const notes: string[] = [];
  const ethernet = kept.filter((one) => one.source.linkType === LINK_TYPE_ETHERNET);
  count(notes, kept.length - ethernet.length, 'not Ethernet, left out');
  const whole: Raw[] = [];
  let cut = 0;
  for (const one of ethernet) {
    const frame = one.bytes.length > MAX_FRAME ? null : decode(filledUp(one));
    if (frame === null) continue;
    const isCut = one.wireLen > one.bytes.length;
    if (isCut) cut++;
    whole.push({ number: one.number, at: one, frame, isCut });
  }
  count(notes, ethernet.length - whole.length, 'shorter or longer than Ethernet has them, left out');
  count(notes, cut, 'cut off in the capture, filled up with zeros');
  const all = guests.length > 0 ? named(guests, whole) : guestsOf(whole);
  const found = all.slice(0, MAX_GUESTS);
  const others = new Set(all.slice(MAX_GUESTS));
  const known = whole.filter(({ frame }) => !others.has(frame.src) && !others.has(frame.dst));
  count(notes, whole.length - known.length, `of guests beyond the first ${MAX_GUESTS}, left out`);
  const single = withoutCopies(known, found);
  count(notes, known.length - single.length, 'seen on a second link, left out');
  const first = single[0]?.at;
  const startMs =
    first === undefined ? 0 : first.seconds * 1000 + Math.floor(first.nanoseconds / 1000) / 1000;
  return { startMs, frames: timed(single, found), guests: found, notes };
}

interface Raw {
  readonly number: number;
  readonly at: KeptFrame;
  readonly frame: Decoded;
  readonly isCut: boolean;
}

function named(guests: readonly string[], raw: readonly Raw[]): string[] {
  const macs = guests.map((text) => {
    const mac = parseMac(text);
    if (mac === null) throw new ConfigError('guests', `${JSON.stringify(text)} is not a MAC address`);
    return formatMac(mac.hi, mac.lo);
  });
  const senders = new Set(raw.map(({ frame }) => frame.src));
  const silent = macs.find((mac) => !senders.has(mac));
  // Nothing would be replayed, and nothing would differ.
  if (silent !== undefined) throw new ConfigError('guests', `${silent} sends no frame`);
  return [...new Set(macs)];
}

function count(notes: string[], n: number, what: string): void {
  if (n > 0) notes.push(`${n} ${n === 1 ? 'frame' : 'frames'} ${what}`);
}

function filledUp({ bytes, wireLen }: KeptFrame): Uint8Array {
  if (wireLen <= bytes.length) return bytes;
  const whole = new Uint8Array(Math.max(bytes.length, Math.min(wireLen, MAX_FRAME)));
  whole.set(bytes);
  return whole;
}

function timed(raw: readonly Raw[], guests: readonly string[]): RecordedFrame[] {
  let micros = 0;
  let last = raw[0]?.at;
  return raw.map(({ number, at, frame, isCut }) => {
    if (last !== undefined) micros += Math.min(Math.max(0, microsBetween(last, at)), MAX_PAUSE_MICROS);
    last = at;
    return { number, micros, frame, guest: guests.includes(frame.src) ? frame.src : null, isCut };
  });
}

function microsBetween(a: KeptFrame, b: KeptFrame): number {
  const micros = (one: KeptFrame): number => Math.floor(one.nanoseconds / 1000);
  return (b.seconds - a.seconds) * 1_000_000 + micros(b) - micros(a);
}

/**
 * A capture of every link of a switch has a frame between two guests twice: as it came, and as it left. Only the first
 * is something that a guest did.
 */
function withoutCopies(raw: readonly Raw[], guests: readonly string[]): Raw[] {
  const kept: Raw[] = [];
  for (const one of raw) {
    const isCopy =
      guests.includes(one.frame.src) && kept.slice(-COPY_FRAMES).some((before) => isSame(before, one));
    if (!isCopy) kept.push(one);
  }
  return kept;
}

function isSame(a: Raw, b: Raw): boolean {
  const x = a.frame.bytes;
  const y = b.frame.bytes;
  if (Math.abs(microsBetween(a.at, b.at)) > COPY_MICROS || a.frame.src !== b.frame.src) return false;
  // One may have been padded to Ethernet's minimum on its way.
  const length = Math.min(x.length, y.length);
  if (x.length !== y.length && Math.max(x.length, y.length) > 60) return false;
  for (let i = 0; i < length; i++) if (x[i] !== y[i]) return false;
  return true;
}

/** slirp's MACs, and ours: 52:55 and the address; 52:56 is slirp's for IPv6. */
const GATEWAY_MAC = /^52:5[56]:/;

function guestsOf(raw: readonly Raw[]): string[] {
  const all = [...new Set(raw.map((one) => one.frame.src))];
  const clients = new Set<string>();
  const network = new Set(all.filter((mac) => GATEWAY_MAC.test(mac)));
  const isPlain = network.size > 0;
  for (const { frame } of raw) {
    const role = dhcpRole(frame);
    if (role === 'client') clients.add(frame.src);
    if (role === 'server') network.add(frame.src);
  }
  if (clients.size === 0 && all[0] !== undefined && !network.has(all[0])) clients.add(all[0]);
  // Where nothing in a MAC tells, whoever a guest writes to is the network.
  if (!isPlain) for (const { frame } of raw) if (clients.has(frame.src)) network.add(frame.dst);
  return all.filter((mac) => clients.has(mac) || !network.has(mac));
}

function dhcpRole(frame: Decoded): 'client' | 'server' | null {
  const { ip, bytes } = frame;
  if (ip === null || ip.proto !== Protocol.Udp || isFragment(ip)) return null;
  const datagram = decodeUdp(bytes.subarray(ip.l4, ip.end));
  if (datagram === null) return null;
  const { srcPort, dstPort } = datagram;
  if (srcPort === dhcp.CLIENT_PORT && dstPort === dhcp.SERVER_PORT) return 'client';
  return srcPort === dhcp.SERVER_PORT && dstPort === dhcp.CLIENT_PORT ? 'server' : null;
}

/** The DHCP message of a frame, or null. */
export function dhcpOf(frame: Decoded): dhcp.DhcpMessage | null {
  if (dhcpRole(frame) === null || frame.ip === null) return null;
  const datagram = decodeUdp(frame.bytes.subarray(frame.ip.l4, frame.ip.end));
  return datagram === null ? null : dhcp.parse(viewOf(datagram.payload), 0, datagram.payload.length);
}
