// What goes through the path benchmarks: one kind of frames at a time, a turn's worth by each call. Writing the guest's TCP
// segments, checksum and all, is part of it; its datagrams are written once.

import { PREFIX_LEN } from '../src/link/framing.ts';
import { takeBlock } from './engine.ts';
import { BenchConnection, type BenchGuest, TCP_HEADERS } from './guest.ts';

/** Frames of one turn, as a busy link brings them. */
export const FRAMES = 64;
/** Most payload bytes of a turn of TCP: what a window without scaling takes. */
const BURST = 65535;
/** Reads until slow start is over and each read leaves at once in full segments. */
const SLOW_START_READS = 100;

export interface Traffic {
  /** Data frames and their payload bytes of one call. */
  readonly frames: number;
  readonly bytes: number;
  readonly call: () => void;
}

/** Segments of `payload` bytes from the guest, to a host that takes them at once. */
export async function tcpUp(guest: BenchGuest, port: number, payload: number): Promise<Traffic> {
  const { link, engine } = guest;
  const connection = await BenchConnection.open(guest, port, payload + TCP_HEADERS);
  const frames = Math.min(FRAMES, Math.floor(BURST / payload));
  const block = takeBlock(engine, 2 * BURST);
  const { view } = engine.network.arena.memory;
  const sendAll = (): void => {
    let at = block;
    for (let i = 0; i < frames; i++) {
      const len = connection.write(at + PREFIX_LEN, payload);
      view.setUint32(at, len);
      at += PREFIX_LEN + len;
    }
    link.pass(block, at);
  };
  return { frames, bytes: frames * payload, call: () => engine.network.turn.run(sendAll) };
}

/** What one read of the host brings to the guest, which acknowledges the last of it. */
export async function tcpDown(guest: BenchGuest, port: number, payload: number): Promise<Traffic> {
  const { link } = guest;
  const connection = await BenchConnection.open(guest, port, payload + TCP_HEADERS);
  const frames = Math.min(FRAMES, Math.floor(BURST / payload));
  const bytes = frames * payload;
  const call = (): void => {
    connection.stream.reads(bytes);
    connection.acknowledge();
  };
  for (let i = 0; i < SLOW_START_READS; i++) call();
  const before = link.framesOut;
  call();
  const sent = link.framesOut - before;
  if (sent !== frames) throw new Error(`${sent} segments, not ${frames}, of ${payload} bytes`);
  return { frames, bytes, call };
}

/** Both at the same time, turn by turn. */
export function together(a: Traffic, b: Traffic): Traffic {
  const call = (): void => {
    a.call();
    b.call();
  };
  return { frames: a.frames + b.frames, bytes: a.bytes + b.bytes, call };
}

/** One byte and the byte that answers it, a turn each. Counts as one. */
export async function tcpExchange(guest: BenchGuest, port: number): Promise<Traffic> {
  const connection = await BenchConnection.open(guest, port);
  const { incoming } = guest.link;
  const call = (): void => {
    guest.give(incoming, connection.write(incoming, 1));
    connection.stream.reads(1);
    connection.receive();
  };
  return { frames: 1, bytes: 2, call };
}

/** The same datagram of `payload` bytes again and again. */
export function udpUp(guest: BenchGuest, port: number, payload: number): Traffic {
  const at = takeBlock(guest.engine, BURST);
  const call = frameRepeater(guest, at, guest.writeUdp(at, port, 7, payload));
  return { frames: FRAMES, bytes: FRAMES * payload, call };
}

/** Datagrams of the remote that the guest has sent one to. */
export function udpDown(guest: BenchGuest, port: number, payload: number): Traffic {
  const { engine, link } = guest;
  guest.give(link.incoming, guest.writeUdp(link.incoming, port, 7, 1));
  const socket = engine.host.sockets.at(-1);
  if (socket?.lastTo == null) throw new Error('the host has got no datagram');
  const { lastTo, events } = socket;
  const data = Buffer.alloc(payload, 0x5a);
  const receiveAll = (): void => {
    for (let i = 0; i < FRAMES; i++) events.onDatagram(data, lastTo);
  };
  return { frames: FRAMES, bytes: FRAMES * payload, call: () => engine.network.turn.run(receiveAll) };
}

/** What the bench itself spends on a segment of `payload` bytes, to be taken off in the mind. */
export async function writingOnly(guest: BenchGuest, port: number, payload: number): Promise<Traffic> {
  const connection = await BenchConnection.open(guest, port, payload + TCP_HEADERS);
  const at = takeBlock(guest.engine, BURST);
  const call = (): void => {
    for (let i = 0; i < FRAMES; i++) connection.write(at, payload);
  };
  return { frames: FRAMES, bytes: FRAMES * payload, call };
}

/** One turn with `frames` times the frame at [at, at+len). */
export function frameRepeater(
  { engine, link }: BenchGuest,
  at: number,
  len: number,
  frames = FRAMES,
): () => void {
  const all = (): void => {
    for (let i = 0; i < frames; i++) link.sink.onFrame(at, len);
  };
  return () => engine.network.turn.run(all);
}
