// What happens to a network under test, one thing after the other: the whole input of a run. A list of these is a
// script; the same script does the same every time. As text: a JSON array for each line, frames in hexadecimal, where
// (00*192) stands for 192 zero bytes.
//
// Engine and guest choose their own initial sequence numbers, so a frame that belongs to a conversation says how far it
// is from the engine's: 'rebased' frames have an acknowledgment number, SACK blocks and an echoed timestamp that are
// counted from the engine's own SYN and latest timestamp, and get their checksum when they are handed in. So a script is
// worth something also after the engine has begun to draw other random numbers.

/** 'hoard': all of the arena is taken, but `amount` bytes (0 or a power of two), until 'release'. */
export type HostAct =
  | 'connect'
  | 'give'
  | 'end'
  | 'fail'
  | 'hold'
  | 'let-go'
  | 'datagram'
  | 'socket-fails'
  | 'hoard'
  | 'release';
export type LinkAct = 'full' | 'room' | 'down' | 'up';

export type Op =
  /** `joined`: what comes next is in the same turn. */
  | { kind: 'frame'; guest: number; rebased: boolean; joined: boolean; bytes: Uint8Array }
  | { kind: 'time'; micros: number }
  | { kind: 'host'; act: HostAct; which: number; amount: number }
  | { kind: 'link'; guest: number; act: LinkAct };

/** One line. */
export function opText(op: Op): string {
  if (op.kind === 'frame') {
    const flags = `f${op.rebased ? 'r' : ''}${op.joined ? 'j' : ''}`;
    return JSON.stringify([flags, op.guest, hexText(op.bytes)]);
  }
  if (op.kind === 'time') return JSON.stringify(['t', op.micros]);
  if (op.kind === 'host') return JSON.stringify(['h', op.act, op.which, op.amount]);
  return JSON.stringify(['l', op.guest, op.act]);
}

/** The inverse of opText(), from the array. */
export function opOf(parts: readonly (string | number)[]): Op {
  const [what, a, b, c] = parts;
  const kind = String(what);
  if (kind.startsWith('f')) {
    const [rebased, joined] = [kind.includes('r'), kind.includes('j')];
    return {
      kind: 'frame',
      guest: Number(a),
      rebased,
      joined,
      bytes: hexBytes(String(b)),
    };
  }
  if (kind === 't') return { kind: 'time', micros: Number(a) };
  if (kind === 'h') return { kind: 'host', act: a as HostAct, which: Number(b), amount: Number(c) };
  if (kind === 'l') return { kind: 'link', guest: Number(a), act: b as LinkAct };
  throw new Error(`no op: ${JSON.stringify(parts)}`);
}

/** Runs of a byte that are worth it are put shortly. */
export function hexText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/(?<=^(?:..)*)(..)\1{5,}/g, (run: string, byte: string) => `(${byte}*${run.length / 2})`);
}

/** The inverse of hexText(). */
export function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/\((..)\*(\d+)\)/g, (_, byte: string, times: string) =>
    byte.repeat(Number(times)),
  );
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

/** A script as a file has it: the name of a world of worlds.ts and what happens in it. */
export interface Script {
  readonly world: string;
  readonly seed: number;
  readonly ops: readonly Op[];
}

export function scriptText(script: Script): string {
  const { world, seed, ops } = script;
  return `${JSON.stringify({ world, seed })}\n${ops.map((op) => `${opText(op)}\n`).join('')}`;
}

export function scriptOf(text: string): Script {
  const [head, ...lines] = text.trimEnd().split('\n');
  const { world, seed } = JSON.parse(head!) as { world: string; seed: number };
  return { world, seed, ops: lines.map((line) => opOf(JSON.parse(line) as (string | number)[])) };
}

/** A log of ops in few bytes, of fixed size: what fills a heap must not be the log. */
export class OpLog {
  /** More than fits happened: the beginning is missing, and what is there cannot be played. */
  isTruncated = false;
  private readonly bytes: Buffer;
  private end = 0;

  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
  }

  clear(): void {
    this.end = 0;
    this.isTruncated = false;
  }

  frame(guest: number, rebased: boolean, joined: boolean, frame: Uint8Array, len: number): void {
    if (!this.room(4 + len)) return;
    const { bytes } = this;
    bytes[this.end] = (rebased ? 1 : 0) | (joined ? 2 : 0);
    bytes[this.end + 1] = guest;
    bytes.writeUInt16LE(len & 0xffff, this.end + 2);
    bytes.set(len === frame.length ? frame : frame.subarray(0, len), this.end + 4);
    this.end += 4 + len;
  }

  /** Anything else. */
  other(op: Op): void {
    const text = Buffer.from(opText(op));
    if (!this.room(3 + text.length)) return;
    this.bytes[this.end] = 4;
    this.bytes.writeUInt16LE(text.length, this.end + 1);
    text.copy(this.bytes, this.end + 3);
    this.end += 3 + text.length;
  }

  ops(): Op[] {
    const { bytes } = this;
    const ops: Op[] = [];
    for (let at = 0; at < this.end; ) {
      const kind = bytes[at]!;
      if (kind === 4) {
        const len = bytes.readUInt16LE(at + 1);
        ops.push(opOf(JSON.parse(bytes.toString('utf8', at + 3, at + 3 + len)) as (string | number)[]));
        at += 3 + len;
        continue;
      }
      const len = bytes.readUInt16LE(at + 2);
      const frame = Buffer.from(bytes.subarray(at + 4, at + 4 + len));
      ops.push({
        kind: 'frame',
        guest: bytes[at + 1]!,
        rebased: (kind & 1) > 0,
        joined: (kind & 2) > 0,
        bytes: frame,
      });
      at += 4 + len;
    }
    return ops;
  }

  private room(len: number): boolean {
    if (this.end + len <= this.bytes.length) return true;
    this.isTruncated = true;
    // The latest are the ones that are asked for: half of the log begins anew.
    this.end = 0;
    return true;
  }
}
