// A TAP device as a link: the other side of the cable is Linux's own network stack, in this namespace or, once the device
// has been moved (`ip link set NAME netns NS`), in any other; the link does not notice.
//
// libuv tells that there are frames by reading the first of them into the receive buffer (tap-device.ts says how); what
// waits behind it is read with read(2) until there is none left, and all of that is one turn, so that a burst costs one
// write to each host socket and one ACK to each flow. The link has a budget for each turn, what is left comes in the next:
// libuv's poll is level-triggered. No thread is in between, which would cost some 20 us for each burst, and an idle link
// costs nothing. Frames for the guest are gathered (transmit.ts) and written one by one at the turn's end: write(2) to a TAP runs the
// guest's receive path and does not wait, so a frame that is not taken is lost, as on a wire, and counted.
//
// The receive buffer is worked through from its front to its end, again and again, with a length before each frame: so
// recall() finds the last ones, those of the round that the latest frame belongs to. Its blocks are given back when the
// socket is closed and the device with it.

import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import { Region } from '../base/region.ts';
import { Budget } from '../base/turn.ts';
import { eachFrame, PREFIX_LEN } from '../link/framing.ts';
import type { Link, LinkHost, LinkLosses, LinkSink, ShowFrame } from '../link/link.ts';
import { TransmitQueue } from '../link/transmit.ts';
import { arenaView } from './arena-view.ts';
import { errnoName } from './libc.ts';
import {
  EAGAIN,
  EBADFD,
  EINTR,
  EIO,
  faultOf,
  openTapDevice,
  readFault,
  readingSocket,
  type TapDevice,
  type TapOptions,
  type TapSystem,
} from './tap-device.ts';
import { threadSharing } from './thread-sharing.ts';

/** What a TAP can hold, whatever its MTU is changed to: the longest IP packet, an Ethernet header and a VLAN tag. */
const MAX_READ = 65535 + 14 + 4;
/** Ethernet header and VLAN tag. */
const HEADERS = 14 + 4;
const BATCHES = 2;
/** Bytes of the buffer that frames are read to, one by one. */
const RECEIVE_LEN = 262144;
const BYTES_PER_TURN = 524288;

/** Frames since the link was opened. */
export interface TapCounters {
  /** Read from the device. */
  received: number;
  /** Written to it. */
  sent: number;
  /** For the guest, lost because the device was not up. */
  lostWhileDown: number;
  /** For the guest, not taken by the kernel for another reason: no memory, as a rule. */
  refused: number;
}

/**
 * Opens the TAP device `options.name`, or makes it. Needs Linux, the package koffi, and CAP_NET_ADMIN or a device that was
 * made for this user. Rejects with one line that names the device. A device that was made goes when the link is closed.
 */
export async function openTap(options: TapOptions, system: Partial<TapSystem> = {}): Promise<TapLink> {
  return new TapLink(options.name, await openTapDevice(options, system));
}

interface Attached {
  readonly sink: LinkSink;
  readonly host: LinkHost;
  readonly queue: TransmitQueue;
  readonly socket: Socket;
  readonly fd: number;
  /** Where the arena begins in the process's memory. */
  readonly address: number;
  readonly receiveOff: number;
  readonly budget: Budget;
}

/** A TAP device of Linux as a guest's link. */
export class TapLink implements Link {
  readonly name: string;
  /** By the device's MTU when it was opened. */
  readonly maxFrame: number;
  readonly counters: TapCounters = { received: 0, sent: 0, lostWhileDown: 0, refused: 0 };
  private readonly device: TapDevice;
  private attached: Attached | null = null;
  /** Why it is down or going down; null while it is up. */
  private reason: string | null = null;
  /** The device is closed: the blocks are the arena's again. */
  private isGone = false;
  private tellGone: () => void = () => {};
  /** Resolves when the device is closed, whoever has closed it. */
  readonly gone = new Promise<void>((resolve) => {
    this.tellGone = resolve;
  });

  private readonly account = new Account();
  private readonly batch = new Region();
  /** Where the next frame is read to, less its prefix. */
  private readOff = 0;
  /** Up to where there are frames of this round: `readOff`, unless the next one begins another. */
  private framesEnd = 0;
  private firstLen = 0;

  constructor(name: string, device: TapDevice) {
    this.name = name;
    this.device = device;
    this.maxFrame = device.mtu + HEADERS;
  }

  get losses(): LinkLosses {
    const { lostWhileDown, refused } = this.counters;
    return { whileDown: lostWhileDown, refused };
  }

  attach(sink: LinkSink, host: LinkHost): void {
    if (this.reason !== null) throw new Error(`the link ${this.name} is closed`);
    assert(this.attached === null, 'a link is attached once');
    const queue = new TransmitQueue(host.arena, BATCHES);
    const receiveOff = host.arena.take(RECEIVE_LEN, this.account);
    if (receiveOff < 0) {
      queue.free();
      throw new Error('the arena has no room for the receive buffer of another link');
    }
    this.readOff = receiveOff;
    this.framesEnd = receiveOff;
    const { memory } = host.arena;
    const address = this.device.libc.addressOf(memory.bytes);
    const buffer = (): Buffer => arenaView(memory, this.readOff + PREFIX_LEN, MAX_READ);
    try {
      const reading = readingSocket(this.device, { buffer, callback: this.onBytes });
      const budget = new Budget(host.turn, threadSharing);
      this.attached = { sink, host, queue, ...reading, address, receiveOff, budget };
    } catch (error) {
      queue.free();
      host.arena.give(receiveOff, RECEIVE_LEN, this.account);
      throw error;
    }
    const { socket } = this.attached;
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    socket.resume();
  }

  reserve(maxLen: number): number {
    return this.isUp ? this.attached!.queue.reserve(maxLen) : -1;
  }

  extend(len: number, count: number): number {
    return this.isUp ? this.attached!.queue.extend(len, count) : 0;
  }

  commit(len: number): void {
    if (!this.isUp) return;
    this.attached!.queue.commit(len);
    this.attached!.host.turn.wantFlush(this);
  }

  send(off: number, len: number): boolean {
    if (!this.isUp || !this.attached!.queue.send(off, len)) return false;
    this.attached!.host.turn.wantFlush(this);
    return true;
  }

  flush(): void {
    if (!this.isUp) return;
    const { queue, host } = this.attached!;
    while (this.isUp && queue.next(this.batch)) {
      const { off, len } = this.batch;
      eachFrame(host.arena.memory, off, off + len, this.write);
      // Links are being flushed, so this waits for a turn of its own.
      if (queue.release()) host.turn.run(this.tellWritable);
    }
  }

  /** Also for whoever has opened the device: a network that has not unplugged the link hears that it is down. */
  close(): Promise<void> {
    const { attached } = this;
    if (attached !== null) this.fail('closed');
    else if (this.reason === null) {
      this.reason = 'closed';
      closeSync(this.device.fd);
      this.tellGone();
    }
    return this.gone;
  }

  recall(show: ShowFrame): void {
    if (this.attached === null || this.isGone) return;
    const { host, queue, receiveOff } = this.attached;
    const { memory } = host.arena;
    eachFrame(memory, receiveOff, this.framesEnd, (off, len) => show('from-guest', memory, off, len));
    queue.recall((off, len) => show('to-guest', memory, off, len));
  }

  /** Is the descriptor the device's? Node closes it at a failed read before it says so. */
  private get isUp(): boolean {
    return this.reason === null && this.attached !== null && !this.attached.socket.destroyed;
  }

  private fail(reason: string): void {
    if (this.reason !== null) return;
    this.reason = reason;
    this.attached!.socket.destroy();
  }

  private readonly onBytes = (count: number): boolean => {
    this.firstLen = count;
    if (!this.isUp) return false;
    const { host, budget } = this.attached!;
    host.turn.run(this.drain);
    if (budget.isOverdrawn) host.clock.soon(this.payOff);
    return this.isUp && !budget.isOverdrawn;
  };

  /** Lets turns pass that this link has had already. */
  private readonly payOff = (): void => {
    if (!this.isUp) return;
    const { host, budget, socket } = this.attached!;
    host.turn.run(this.passTurn);
    if (budget.isOverdrawn) host.clock.soon(this.payOff);
    else socket.resume();
  };

  private readonly passTurn = (): void => {
    const { budget } = this.attached!;
    budget.begin();
    budget.end();
  };

  /** The frame that libuv has read, and what waits behind it. */
  private readonly drain = (): void => {
    const { budget } = this.attached!;
    budget.begin();
    this.drainFrames();
    budget.end();
  };

  private drainFrames(): void {
    const { fd, address, budget } = this.attached!;
    const { libc } = this.device;
    let len = this.firstLen;
    // It is read already, whatever is left.
    budget.takeFrame();
    for (let bytes = len; ; bytes += len) {
      this.take(len);
      if (!this.isUp || bytes >= BYTES_PER_TURN || !budget.takeFrame()) return;
      len = libc.read(fd, address + this.readOff + PREFIX_LEN, MAX_READ);
      if (len < 0) {
        const errno = libc.errno();
        if (errno !== EAGAIN && errno !== EINTR) this.fail(faultOf(errnoName(errno)));
        return;
      }
    }
  }

  /** Passes on the frame of `len` bytes that was read to the place at `readOff`. */
  private take(len: number): void {
    const { host, sink, receiveOff } = this.attached!;
    const at = this.readOff;
    host.arena.memory.view.setUint32(at, len);
    this.framesEnd = at + PREFIX_LEN + len;
    const room = receiveOff + RECEIVE_LEN - this.framesEnd;
    this.readOff = room >= PREFIX_LEN + MAX_READ ? this.framesEnd : receiveOff;
    this.counters.received++;
    sink.onFrame(at + PREFIX_LEN, len);
  }

  private readonly write = (off: number, len: number): void => {
    if (!this.isUp) return;
    const { fd, address } = this.attached!;
    const { libc } = this.device;
    if (libc.write(fd, address + off, len) === len) {
      this.counters.sent++;
      return;
    }
    const errno = libc.errno();
    if (errno === EBADFD) this.fail(faultOf(errnoName(errno)));
    else if (errno === EIO) this.counters.lostWhileDown++;
    else this.counters.refused++;
  };

  private readonly tellWritable = (): void => {
    if (this.isUp) this.attached!.sink.onLinkWritable();
  };

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    this.fail(readFault(error));
  };

  /** The device is closed: nothing reads or writes the link's blocks any more. */
  private readonly onClose = (): void => {
    this.reason ??= 'the device was closed';
    this.isGone = true;
    const { host, queue, receiveOff } = this.attached!;
    queue.free();
    host.arena.give(receiveOff, RECEIVE_LEN, this.account);
    // Where the network has unplugged it before, it does not hear of that twice.
    host.turn.run(this.tellDown);
    this.tellGone();
  };

  private readonly tellDown = (): void => {
    this.attached!.sink.onLinkDown(this.reason ?? '');
  };
}
