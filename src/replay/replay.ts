// Plays the guests' side of a capture against a fresh network, and tells what the network says otherwise than the
// recorded one did.
//
// The capture is gone through frame by frame, with a clock that is moved by hand to each frame's time. A guest's frame is
// sent, aligned to what our network has said so far (align.ts, tcp-guests.ts). A frame of the recorded network is never
// sent anywhere: it shows what the host's side said (a connection accepted or refused, data, a datagram, a name
// resolved), and the played host says that again (world.ts). What our network answers is read as it comes; at the end
// both conversations are reduced to what they mean (meaning.ts) and compared (differences.ts).
//
// A replayed guest also answers ARP for its address, which a recorded network may never have asked.
//
// Nothing depends on the time of day or on chance: the same capture, configuration and seed give the same frames.

import { parseMac } from '../base/addr.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { memoryOver, type ViewMaker } from '../base/memory.ts';
import type { Settings } from '../base/settings.ts';
import { Xoshiro } from '../base/xoshiro.ts';
import type { Link } from '../link/link.ts';
import { ConfigError, type NetworkConfig, parseConfig } from '../network/config.ts';
import { createNetwork, type Network } from '../network/network.ts';
import type { NetworkStats } from '../network/stats.ts';
import type { KeptFrame } from '../pcap/frames.ts';
import * as arp from '../wire/arp.ts';
import * as dhcp from '../wire/dhcp.ts';
import { PORT as DNS_PORT } from '../wire/dns.ts';
import * as ethernet from '../wire/ethernet.ts';
import { Protocol } from '../wire/ipv4.ts';
import { Aligner } from './align.ts';
import { type Decoded, decode, decodeIcmp, decodeUdp, endpointText } from './decode.ts';
import { countFacts, type Difference, differencesBetween } from './differences.ts';
import { GuestLink } from './guest-link.ts';
import { type Learned, learn, withForwards } from './learned.ts';
import { Meaning } from './meaning.ts';
import { Output } from './output.ts';
import { dhcpOf, type RecordedFrame, type Recording, recordingOf } from './recording.ts';
import { DatagramAssembler } from './streams.ts';
import { TcpGuests } from './tcp-guests.ts';
import { World } from './world.ts';

export type { Difference } from './differences.ts';

/** How a capture is played, and to whom. */
export interface ReplayOptions {
  /** Of all randomness in the network. Default 1. */
  readonly seed?: number;
  /** MACs of the guests, 64 at most, where the capture does not show well enough who is one. Each sends something. */
  readonly guests?: readonly string[];
  /** Called with the link of each guest, whose name is its MAC; what it returns is attached instead. See captureLink(). */
  readonly wrap?: (link: Link) => Link;
  /** How views of the arena are made; see NetworkParts. Default: plain Uint8Arrays. */
  readonly makeView?: ViewMaker;
}

/** What the guests of a capture got here. */
export interface ReplayResult {
  /** Where our network meant something else, those that matter first. */
  readonly differences: readonly Difference[];
  /** Does any of them matter? */
  readonly matters: boolean;
  /** What the recorded network had said, in facts that were compared. */
  readonly facts: number;
  /** Every frame that passed in the replay, the guests' and ours, as a classic capture. */
  readonly capture: Uint8Array;
  readonly frames: number;
  /** Guests by their MACs. */
  readonly guests: readonly string[];
  /** What could not be replayed, in words. */
  readonly notes: readonly string[];
  /** Of the network, when the last frame had been replayed. */
  readonly stats: NetworkStats;
}

/** How long the network may go on after the last frame. */
const END_MS = 1000;

/**
 * Replays `frames`, the Ethernet frames of a capture (readCapture), against a network of `config`; what it leaves out is
 * taken from the capture: subnet, gateway, name service, MTU and lease; the arena has 32 MiB. Forwards are always the
 * capture's own. Rejects with a ConfigError when `config` or `options.guests` is wrong, a guest of whom the capture has no
 * frame included. Never fails for what is in the capture; where no guest is in it, nothing is replayed.
 */
export async function replay(
  frames: readonly KeptFrame[],
  config: NetworkConfig = {},
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  const recording = recordingOf(frames, options.guests);
  const learned = learn(recording);
  const run = new Replay(recording, learned, config, options);
  await run.network.start();
  for (const one of recording.frames) run.take(one);
  run.finish();
  const result = run.result();
  await run.close();
  return result;
}

class Replay {
  readonly network: Network;
  private readonly recording: Recording;
  private readonly clock: ManualClock;
  private readonly world: World;
  private readonly aligner: Aligner;
  private readonly links = new Map<string, GuestLink>();
  private readonly theirs = new Meaning();
  private readonly ours: Meaning;
  private readonly fragments = new DatagramAssembler();
  private readonly guestFragments = new DatagramAssembler();
  private readonly tcp: TcpGuests;
  private readonly output: Output;
  private readonly arpAsked: { readonly guest: string; readonly frame: Decoded }[] = [];
  /** Frames of guests' connections that are left out since there are too many. */
  private beyond = 0;
  /** Addresses recorded leases gave, by exchange. */
  private readonly leases = new Map<string, number>();

  constructor(recording: Recording, learned: Learned, config: NetworkConfig, options: ReplayOptions) {
    this.recording = recording;
    this.clock = new ManualClock(recording.startMs);
    this.world = new World(learned.forwards);
    const parts = {
      clock: this.clock,
      random: new Xoshiro(options.seed ?? 1),
      host: this.world.host,
      makeView: options.makeView ?? ((buffer: ArrayBuffer) => new Uint8Array(buffer)),
    };
    this.network = createNetwork(configOf(config, learned), parts);
    const { settings } = this.network;
    this.aligner = new Aligner(learned.roles, settings);
    this.ours = new Meaning((address) => this.aligner.back(address));
    this.output = new Output(this.clock);
    const { clock, world, aligner } = this;
    this.tcp = new TcpGuests({
      ...{ clock, world, aligner, ours: this.ours.tcp },
      link: (guest) => this.links.get(guest),
      settle: () => this.settle(),
    });
    for (const guest of recording.guests) {
      const link = new GuestLink(guest, settings.mtu + ethernet.HEADER_LEN, (mac, bytes, fromGuest) =>
        this.passed(mac, bytes, fromGuest),
      );
      this.network.attach(options.wrap?.(link) ?? link);
      this.links.set(guest, link);
    }
    for (const { frame, guest } of recording.frames) {
      if (guest !== null) continue;
      this.aligner.learnMac(frame);
      this.learnLease(frame);
    }
  }

  take(one: RecordedFrame): void {
    const { frame, guest, micros } = one;
    if (micros > this.clock.micros()) this.clock.advanceMicros(micros - this.clock.micros());
    if (guest === null) this.fromNetwork(frame);
    else this.fromGuest(one, guest);
    this.settle();
  }

  /** Time for what is still on its way. */
  finish(): void {
    this.tcp.finish();
    this.clock.advance(END_MS);
    this.settle();
  }

  result(): ReplayResult {
    const theirs = this.theirs.all;
    const differences = [
      ...this.tcp.undelivered(this.network.settings.dns?.address ?? null),
      ...differencesBetween(theirs, this.ours.all, this.theirs.incomplete),
    ];
    const connections = (count: number, what: string): string[] =>
      count === 0 ? [] : [`${count} TCP ${count === 1 ? 'connection' : 'connections'} ${what}`];
    const notes = [
      ...this.recording.notes,
      ...connections(this.tcp.skipped.size, 'begun before the capture, left out'),
      ...connections(this.theirs.incomplete.size, 'of which frames are missing, no difference there matters'),
    ];
    if (this.beyond > 0)
      notes.push(`${this.beyond} frames of more TCP connections than are replayed, left out`);
    return {
      differences,
      matters: differences.some((one) => one.matters),
      facts: countFacts(theirs),
      capture: this.output.bytes,
      frames: this.output.frames,
      guests: this.recording.guests,
      notes,
      stats: this.network.stats(),
    };
  }

  close(): Promise<void> {
    const closed = this.network.close();
    this.clock.runSoon();
    return closed;
  }

  private fromNetwork(frame: Decoded): void {
    const guest = this.guestOf(frame);
    if (guest === null) return;
    const seen = frame.ip?.proto === Protocol.Tcp ? this.theirs.tcp.take(frame, guest, false) : null;
    if (seen !== null) this.tcp.heard(seen);
    else this.theirs.fromNetwork(frame, guest);
    const { ip } = frame;
    if (ip?.proto === Protocol.Udp && dhcpOf(frame) === null) this.datagramSaid(frame, ip.src, ip.dst);
    const message = decodeIcmp(frame);
    if (message?.quoted !== null && message?.quoted !== undefined) {
      const { quoted } = message;
      const connection =
        quoted.proto === Protocol.Tcp
          ? this.theirs.tcp.find(guest, [quoted.src, quoted.srcPort], [quoted.dst, quoted.dstPort])
          : undefined;
      this.world.saysError(quoted, message.code, connection);
    }
  }

  private datagramSaid(frame: Decoded, src: number, dst: number): void {
    const payload = this.fragments.add(frame);
    const datagram = payload === null ? null : decodeUdp(payload);
    if (datagram === null) return;
    const { settings } = this.network;
    const isDns =
      settings.dns !== null &&
      this.aligner.address(src) === settings.dns.address &&
      datagram.srcPort === DNS_PORT;
    this.world.saysDatagram([dst, datagram.dstPort], [src, datagram.srcPort], datagram, isDns);
  }

  /** Whom a frame of the network is for. */
  private guestOf(frame: Decoded): string | null {
    if (this.links.has(frame.dst)) return frame.dst;
    return frame.isGroup ? (this.recording.guests[0] ?? null) : null;
  }

  private fromGuest(one: RecordedFrame, guest: string): void {
    const { frame, isCut } = one;
    const link = this.links.get(guest);
    const { ip } = frame;
    if (link === undefined) return;
    if (this.links.has(frame.dst)) {
      // What a guest says to another is no business of the network's but to pass it on; to itself, not even that.
      if (frame.dst !== guest) this.theirs.fromGuestToGuest(frame);
      link.sends(this.aligner.aligned(frame, isCut));
      return;
    }
    if (ip?.proto === Protocol.Tcp) {
      const seen = this.theirs.tcp.take(frame, guest, true);
      if (seen !== null) {
        this.tcp.take(link, frame, seen, isCut);
        return;
      }
      if (this.theirs.tcp.isFull) {
        this.beyond++;
        return;
      }
    }
    this.theirs.fromGuest(frame, guest);
    const payload = ip?.proto === Protocol.Udp ? this.guestFragments.add(frame) : null;
    const datagram = payload === null ? null : decodeUdp(payload);
    const aligned = this.aligner.aligned(frame, isCut);
    if (datagram === null || ip === null) link.sends(aligned);
    else {
      const from = endpointText(ip.src, datagram.srcPort);
      this.world.duringDatagram(from, endpointText(ip.dst, datagram.dstPort), () => link.sends(aligned));
    }
  }

  /** Whatever waits for no time, and ARP that was asked meanwhile. */
  private settle(): void {
    this.clock.runSoon();
    while (this.arpAsked.length > 0) {
      const { guest, frame } = this.arpAsked.shift()!;
      this.links.get(guest)?.sends(arpReply(frame, guest));
      this.clock.runSoon();
    }
  }

  /** Every frame on a guest's cable. */
  private passed(guest: string, bytes: Uint8Array, fromGuest: boolean): void {
    this.output.add(bytes);
    const frame = decode(bytes);
    if (frame === null) return;
    if (fromGuest) {
      if (!this.links.has(frame.dst)) this.ours.fromGuest(frame, guest);
    } else if (!this.links.has(frame.src)) {
      this.ours.fromNetwork(frame, guest);
      this.heard(frame, guest);
    } else if (frame.dst === guest) this.ours.fromGuestToGuest(frame);
  }

  private heard(frame: Decoded, guest: string): void {
    if (frame.arp?.op === arp.Op.Request && frame.arp.targetIp !== frame.arp.senderIp)
      this.arpAsked.push({ guest, frame });
    const message = dhcpOf(frame);
    const theirs = message === null ? undefined : this.leases.get(exchangeKey(message));
    if (message !== null && theirs !== undefined && message.yiaddr !== 0)
      this.aligner.pair(theirs, message.yiaddr);
  }

  private learnLease(frame: Decoded): void {
    const message = dhcpOf(frame);
    if (message !== null && message.op === dhcp.Op.Reply && message.yiaddr !== 0)
      this.leases.set(exchangeKey(message), message.yiaddr);
  }
}

function exchangeKey({ chaddr, xid }: dhcp.DhcpMessage): string {
  return `${chaddr.hi} ${chaddr.lo} ${xid}`;
}

function arpReply(asked: Decoded, guest: string): Uint8Array {
  const bytes = new Uint8Array(ethernet.HEADER_LEN + arp.LEN);
  const v = memoryOver(bytes).view;
  const q = asked.memory.view;
  const own = parseMac(guest)!;
  const to = [ethernet.srcHi(q, 0), ethernet.srcLo(q, 0)] as const;
  ethernet.write(v, 0, ...to, own.hi, own.lo, ethernet.EtherType.Arp);
  const { targetIp, senderIp } = asked.arp!;
  arp.write(v, ethernet.HEADER_LEN, arp.Op.Reply, own.hi, own.lo, targetIp, ...to, senderIp);
  return bytes;
}

/**
 * What was learned may be no network at all, of a capture that makes no sense: then ours is as `config` says by itself.
 * Throws a ConfigError when that is at fault.
 */
function configOf(config: NetworkConfig, learned: Learned): NetworkConfig {
  const plain = { ...config, forwards: [] };
  // In a subnet of the caller's the recorded addresses have no place.
  const { subnet: _, gateway: __, dns: ___, ...rest } = learned.config;
  for (const said of [{ ...(config.subnet === undefined ? learned.config : rest), ...plain }, plain]) {
    const settings = valid(said);
    if (settings === null) continue;
    const aligner = new Aligner(learned.roles, settings);
    const whole = withForwards(said, learned, (address) => aligner.address(address));
    return valid(whole) === null ? said : whole;
  }
  // Tells what is wrong.
  parseConfig(config);
  return plain;
}

function valid(config: NetworkConfig): Settings | null {
  try {
    return parseConfig(config);
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}
