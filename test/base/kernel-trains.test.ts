// The kernel's two programs for trains, each against one that is written down plainly with the accessors of wire/.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { createMemory, type Memory, type TrainKernel } from '../../src/base/memory.ts';
import { seqLt } from '../../src/tcp/seq.ts';
import { isValid, pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { framed, IP, type SegmentSpec, seal, segmentFrame, TCP } from '../support/train-frames.ts';

const SIZE = 1 << 20;
const PREFIX = 4;
const MAX_FRAME = 65549;

const memory = createMemory(SIZE, (buffer) => Buffer.from(buffer));
const bytes = memory.bytes as Buffer;
const trains = memory.trains as TrainKernel;

/** Every byte of a payload depends on its place in the stream and on `salt`. */
function text(salt: number, from: number, len: number): Buffer {
  const out = Buffer.alloc(len);
  for (let i = 0; i < len; i++) out[i] = Math.imul(from + i + salt, 0x9e3779b1) >>> 13;
  return out;
}

const word = fc.integer({ min: -0x80000000, max: 0x7fffffff });
/** Sequence numbers, most of them a few segments before 2^31 and 2^32. */
const sequence = fc.oneof(
  word,
  fc.nat(20_000).map((n) => (0x7fffffff - n) | 0),
  fc.nat(20_000).map((n) => -1 - n),
);
const ident = fc.oneof(
  fc.nat(0xffff),
  fc.nat(12).map((n) => 0xffff - n),
);
const stream: fc.Arbitrary<SegmentSpec> = fc.record({
  toHi: fc.nat(0xffff),
  toLo: word,
  fromHi: fc.nat(0xffff),
  fromLo: word,
  src: word,
  dst: word,
  ident,
  sport: fc.integer({ min: 1, max: 65535 }),
  dport: fc.integer({ min: 1, max: 65535 }),
  seq: sequence,
  ack: word,
  flags: fc.constantFrom(Flag.Ack, Flag.Ack | Flag.Psh),
  wnd: fc.nat(0xffff),
  ts: fc.oneof(fc.constant(null), fc.tuple(word, word)),
});

test('there is a kernel for trains with WebAssembly, and none without', () => {
  expect(trains).not.toBeNull();
  expect(createMemory(65536, (buffer) => Buffer.from(buffer), 'js').trains).toBeNull();
});

describe('makeTrain()', () => {
  const lens = fc.oneof(
    fc.integer({ min: 16, max: 300 }),
    fc.constantFrom(16, 17, 535, 536, 1447, 1448, 1460, 8948, 8961),
  );

  /** Makes `count` more behind the first; true where all of memory is as the writers have it. */
  function makesThem(spec: SegmentSpec, len: number, count: number, at: number, src: number, salt: number) {
    const frames = Array.from({ length: count + 1 }, (_, i) =>
      segmentFrame(
        { ...spec, ident: (spec.ident! + i) & 0xffff, seq: (spec.seq + i * len) | 0 },
        text(salt, i * len, len),
      ),
    );
    const header = frames[0]!.length - len;
    bytes.fill(0xa5);
    text(salt, len, count * len).copy(bytes, src);
    framed(frames.slice(0, 1)).copy(bytes, at - PREFIX);
    const wanted = Buffer.from(bytes);
    framed(frames).copy(wanted, at - PREFIX);
    trains.makeTrain(at, frames[0]!.length, header, src, count);
    return bytes.equals(wanted);
  }

  test('the frames that the ordinary writers give, byte for byte, and nothing around them', () => {
    fc.assert(
      fc.property(
        ...[stream, lens, fc.nat(24), fc.nat(15), fc.nat(15), word],
        (spec, len, count, shift, srcShift, salt) =>
          makesThem(spec, len, count, 4096 + shift, 524_288 + srcShift, salt),
      ),
      { numRuns: 150 },
    );
  });

  const plain: SegmentSpec = {
    ...{ sport: 80, dport: 40_000, seq: 0, ack: 77, flags: Flag.Ack, wnd: 1000, ts: null },
  };

  test.each([null, [-1, 5] as const])('numbers that wrap, timestamps %j', (ts) => {
    for (const len of [100, 101]) {
      for (const seq of [0x7fffffff - 150, -150, -100, -1]) {
        expect(makesThem({ ...plain, ts, seq, ident: 65_533 }, len, 6, 4096, 500_000, 1)).toBe(true);
      }
    }
  });

  test('up to the last byte of memory', () => {
    for (const ts of [null, [1, 2] as const]) {
      for (const len of [16, 17, 99]) {
        const frame = TCP + (ts === null ? 20 : 32) + len;
        const at = SIZE - 4 * frame - 3 * PREFIX;
        expect(makesThem({ ...plain, ts, ident: 9 }, len, 3, at, 1000, 3)).toBe(true);
      }
    }
  });

  test('a sum of all ones: the checksum is what the ordinary way has', () => {
    for (let seq = 0; seq < 0x20000; seq += 4099) {
      const zeros = segmentFrame({ ...plain, seq }, Buffer.alloc(32));
      const next = segmentFrame({ ...plain, ident: 1, seq: seq + 32 }, Buffer.alloc(32));
      bytes.fill(0);
      framed([zeros]).copy(bytes, 4096);
      trains.makeTrain(4096 + PREFIX, zeros.length, zeros.length - 32, 500_000, 1);
      const made = bytes.subarray(4096 + 2 * PREFIX + zeros.length, 4096 + 2 * (PREFIX + zeros.length));
      expect(made.equals(next)).toBe(true);
    }
  });
});

/** What takeTrain() is asked. */
interface Question {
  readonly first: number;
  readonly at: number;
  readonly end: number;
  readonly next: number;
  readonly tsRecent: number;
  readonly room: number;
  readonly most: number;
}

interface Taken {
  at: number;
  frames: number;
  bytes: number;
  /** Of the last payload; 0 where there is none. */
  last: number;
  copied: Buffer;
}

/** What it has to answer. */
function plainly(m: Memory, q: Question): Taken {
  const taken: Taken = { at: q.at, frames: 0, bytes: 0, last: 0, copied: Buffer.alloc(0) };
  const v = m.view;
  while (taken.frames < q.most && taken.at + PREFIX <= q.end) {
    const len = v.getUint32(taken.at);
    const frame = taken.at + PREFIX;
    if (len > MAX_FRAME || frame + len > q.end || len < TCP + 20) break;
    const payload = isOfTrain(m, q.first, frame, len) ? payloadOf(v, frame) : null;
    if (payload === null || payload.len <= 0 || payload.len > q.room - taken.bytes) break;
    if (tcp.seq(v, frame + TCP) !== ((q.next + taken.bytes) | 0)) break;
    if (tcp.headerLen(v, frame + TCP) > 20 && seqLt(v.getInt32(frame + TCP + 24), q.tsRecent)) break;
    taken.copied = Buffer.concat([taken.copied, m.bytes.subarray(payload.off, payload.off + payload.len)]);
    taken.frames++;
    taken.bytes += payload.len;
    taken.last = payload.len;
    taken.at = frame + len;
  }
  return taken;
}

function payloadOf(v: DataView, frame: number): { off: number; len: number } {
  const header = tcp.headerLen(v, frame + TCP);
  return { off: frame + TCP + header, len: ipv4.totalLen(v, frame + IP) - ipv4.MIN_HEADER_LEN - header };
}

/** Whole and right, and the same as `first` in all that does not differ within a train? */
function isOfTrain(m: Memory, first: number, frame: number, len: number): boolean {
  const v = m.view;
  const same = (of: (v: DataView, off: number) => number, off: number): boolean =>
    of(v, first + off) === of(v, frame + off);
  const word16 = (view: DataView, off: number): number => view.getUint16(off);
  const word32 = (view: DataView, off: number): number => view.getInt32(off);
  const [ip, l4] = [frame + IP, frame + TCP];
  if (!same(ethernet.dstHi, 0) || !same(ethernet.dstLo, 0)) return false;
  if (!same(ethernet.srcHi, 0) || !same(ethernet.srcLo, 0) || !same(ethernet.etherType, 0)) return false;
  // Version, header length and TOS; flags and fragment offset.
  if (!same(word16, IP) || !same(word16, IP + 6)) return false;
  if (!same(ipv4.ttl, IP) || !same(ipv4.protocol, IP) || !same(ipv4.src, IP) || !same(ipv4.dst, IP))
    return false;
  if (ipv4.check(m, ip, len - IP) !== Drop.None) return false;
  const tcpLen = ipv4.totalLen(v, ip) - ipv4.MIN_HEADER_LEN;
  if (tcp.checkShape(v, l4, tcpLen) !== Drop.None) return false;
  if (!same(tcp.srcPort, TCP) || !same(tcp.dstPort, TCP) || !same(tcp.ack, TCP) || !same(tcp.window, TCP))
    return false;
  // Reserved bits as well; PSH may differ.
  if (((v.getUint16(first + TCP + 12) ^ v.getUint16(l4 + 12)) & ~Flag.Psh) !== 0) return false;
  if (tcp.headerLen(v, l4) > 20 && !same(word32, TCP + 20)) return false;
  const pseudo = pseudoSumIpv4(ipv4.src(v, ip), ipv4.dst(v, ip), ipv4.protocol(v, ip));
  return isValid(pseudo + tcpLen + m.sum(l4, tcpLen));
}

/** What became of a frame on its way. `n` says which, where there are several. */
const CHANGES = [
  ...['none', 'none', 'none', 'none', 'byte', 'byte', 'byte', 'psh', 'gap', 'overlap', 'window', 'ack'],
  ...['flag', 'port', 'address', 'mac', 'tos', 'ttl', 'ip-options', 'fragment', 'bad-ip', 'bad-tcp'],
  ...[
    'early',
    'late',
    'padding',
    'padding',
    'empty',
    'total',
    'urgent',
    'options',
    'ident',
    'prefix',
    'protocol',
  ],
] as const;
type Change = (typeof CHANGES)[number];

interface Part {
  readonly len: number;
  readonly change: Change;
  readonly n: number;
  /** Are the checksums right again? */
  readonly sealed: boolean;
}

/** Changes of fields: where, how many bytes, and what is done to them. */
const FIELDS: Partial<Record<Change, readonly (readonly [number, number])[]>> = {
  window: [[TCP + 14, 2]],
  ack: [[TCP + 8, 4]],
  flag: [[TCP + 13, 1]],
  port: [
    [TCP, 2],
    [TCP + 2, 2],
  ],
  address: [
    [IP + 12, 4],
    [IP + 16, 4],
  ],
  mac: [
    [0, 2],
    [2, 4],
    [6, 2],
    [8, 4],
  ],
  tos: [[IP + 1, 1]],
  ttl: [[IP + 8, 1]],
  protocol: [[IP + 9, 1]],
  'ip-options': [[IP, 1]],
  fragment: [[IP + 6, 2]],
  total: [[IP + 2, 2]],
  ident: [[IP + 4, 2]],
  urgent: [[TCP + 18, 2]],
  options: [[TCP + 20, 4]],
};

function changed(spec: SegmentSpec, part: Part, offset: number, salt: number): Buffer {
  const { change, n } = part;
  const payload = text(salt, offset, change === 'empty' ? 0 : part.len);
  const seq = (spec.seq + offset + (change === 'gap' ? 1 + n : change === 'overlap' ? -1 - n : 0)) | 0;
  const step = change === 'early' ? -1 - n : change === 'late' ? 1 + n : 0;
  const ts: SegmentSpec['ts'] = spec.ts === null ? null : [(spec.ts[0] + step) | 0, spec.ts[1]];
  const flags = change === 'psh' ? spec.flags ^ Flag.Psh : spec.flags;
  const padding = change === 'padding' ? 1 + (n % 60) : 0;
  const frame = segmentFrame({ ...spec, seq, ts, flags, padding }, payload);
  const fields = FIELDS[change];
  if (fields !== undefined) {
    const [at, size] = fields[n % fields.length]!;
    if (at + size <= frame.length) frame[at + (n % size)]! ^= 1 << (n % 8);
  } else if (change === 'byte') frame[n % frame.length]! ^= 1 + (n % 255);
  if (part.sealed) seal(frame);
  if (change === 'bad-ip') frame[IP + 10 + (n % 2)]! ^= 1 << (n % 8);
  if (change === 'bad-tcp') frame[TCP + 16 + (n % 2)]! ^= 1 << (n % 8);
  return frame;
}

const PREFIXES = [0, 1, 13, 54, 66, 69_632, 65_550, 0x7fffffff, 0x80000000, 0xfffffffb, 0xffffffff];

/** The chunk, the lengths before the frames spoilt where a part says so. */
function chunkOf(spec: SegmentSpec, parts: readonly Part[], salt: number): Buffer {
  let offset = 0;
  const frames = parts.map((part) => {
    const frame = changed(spec, part, offset, salt);
    offset += part.change === 'empty' ? 0 : part.len;
    return frame;
  });
  const chunk = framed(frames);
  let at = 0;
  for (const [i, { change, n }] of parts.entries()) {
    const near = [frames[i]!.length - 1, frames[i]!.length + 1];
    const lens = [...PREFIXES, ...near, ...near];
    if (change === 'prefix') chunk.writeUInt32BE(lens[n % lens.length]!, at);
    at += PREFIX + frames[i]!.length;
  }
  return chunk;
}

const part: fc.Arbitrary<Part> = fc.record({
  len: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constantFrom(1, 2, 1447, 1448, 1460)),
  change: fc.oneof(
    { weight: 3, arbitrary: fc.constant('none' as const) },
    { weight: 1, arbitrary: fc.constantFrom(...CHANGES) },
  ),
  n: fc.nat(0xffff),
  sealed: fc.boolean(),
});

const TO = 700_000;

/** The frame at `first` was taken; what comes behind it lies in `chunk`, of which `cut` bytes have not arrived. */
function lay(spec: SegmentSpec, chunk: Buffer, firstAt: number, at: number, fill: number): void {
  bytes.fill(fill);
  const start = segmentFrame({ ...spec, seq: (spec.seq - 100) | 0 }, Buffer.alloc(100, 7));
  start.copy(bytes, firstAt);
  chunk.copy(bytes, at);
}

/** Asks the kernel and looks at all of memory. */
function take(q: Question): Taken {
  const before = Buffer.from(bytes);
  const { first, at, end, next, tsRecent, room, most } = q;
  const stop = trains.takeTrain(first, at, end, next, tsRecent, TO, room, most) >>> 0;
  const frames = trains.framesTaken();
  const count = trains.bytesTaken();
  expect(bytes.compare(before, 0, TO, 0, TO)).toBe(0);
  expect(bytes.compare(before, TO + room, SIZE, TO + room, SIZE)).toBe(0);
  expect(count).toBeLessThanOrEqual(room);
  const copied = Buffer.from(bytes.subarray(TO, TO + count));
  before.copy(bytes);
  return { at: stop, frames, bytes: count, last: frames === 0 ? 0 : trains.lastTaken(), copied };
}

describe('takeTrain()', () => {
  const counts = { taken: 0, offered: 0 };

  test('takes what the plain one takes, and writes nowhere else', () => {
    fc.assert(
      fc.property(
        stream,
        fc.array(part, { maxLength: 12 }),
        fc.record({
          salt: word,
          shift: fc.nat(15),
          cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(1600) }),
          room: fc.oneof(
            { weight: 3, arbitrary: fc.constant(60_000) },
            { weight: 1, arbitrary: fc.nat(4000) },
          ),
          most: fc.oneof({ weight: 3, arbitrary: fc.constant(64) }, { weight: 1, arbitrary: fc.nat(8) }),
          behind: fc.constantFrom(0, 0, 0, 1, 2, 0x7fffffff, -0x80000000),
          off: fc.oneof(
            { weight: 9, arbitrary: fc.constant(0) },
            { weight: 1, arbitrary: fc.constantFrom(1, -1) },
          ),
          atEnd: fc.boolean(),
        }),
        (spec, parts, { salt, shift, cut, room, most, behind, off, atEnd }) => {
          const chunk = chunkOf(spec, parts, salt);
          // At the end of memory nothing may be looked at that is not there.
          const at = atEnd ? SIZE - chunk.length : 8192 + shift;
          const question: Question = {
            ...{ first: 1000 + shift, at, room, most },
            end: Math.max(at, at + chunk.length - cut),
            next: (spec.seq + off) | 0,
            tsRecent: ((spec.ts?.[0] ?? 0) - behind) | 0,
          };
          lay(spec, chunk, question.first, at, 0xa5);
          const wanted = plainly(memory, question);
          const taken = take(question);
          expect(taken).toEqual(wanted);
          counts.taken += taken.frames;
          counts.offered += parts.length;
          // What lies behind `end` decides nothing.
          bytes.fill(0x01, question.end, atEnd ? SIZE : question.end + 2000);
          expect(take(question)).toEqual(wanted);
        },
      ),
      { numRuns: 600 },
    );
    // It is about trains, not only about where they end.
    expect(counts.taken).toBeGreaterThan(counts.offered * 0.2);
  }, 60_000);

  const spec: SegmentSpec = {
    ...{ sport: 40_000, dport: 80, seq: 5000, ack: 77, flags: Flag.Ack, wnd: 1000, ts: [100, 5] },
  };
  const plainParts = (n: number): Part[] =>
    Array.from({ length: n }, (_, i) => ({ len: 400 + i, change: 'none', n: 0, sealed: true }));
  const ask = (chunk: Buffer, more: Partial<Question> = {}): Taken => {
    lay(spec, chunk, 1000, 8192, 0xa5);
    const base = { first: 1000, at: 8192, end: 8192 + chunk.length, next: 5000, tsRecent: 100 };
    return take({ ...base, room: 60_000, most: 64, ...more });
  };

  test('every byte of the headers and every kind of change, one at a time: the frames before it are taken', () => {
    const whole = segmentFrame(spec, text(1, 0, 400));
    const header = whole.length - 400;
    // In each of them the frame is still one of the train, or would be but for its checksum.
    const free = new Set([...[IP + 4, IP + 5], ...[TCP + 18, TCP + 19]]);
    for (let at = 0; at < header; at++) {
      for (const sealed of [false, true]) {
        const parts = plainParts(4);
        const frames = parts.map((one, i) => changed(spec, one, i * 400 + (i * (i - 1)) / 2, 1));
        frames[2]![at]! ^= 0x40;
        if (sealed) seal(frames[2]!);
        const chunk = framed(frames);
        const { frames: count } = ask(chunk);
        const question = { first: 1000, at: 8192, end: 8192 + chunk.length, next: 5000, tsRecent: 100 };
        lay(spec, chunk, 1000, 8192, 0xa5);
        expect(count, `byte ${at}`).toBe(plainly(memory, { ...question, room: 60_000, most: 64 }).frames);
        if (sealed && free.has(at)) expect(count).toBe(4);
        if (!sealed) expect(count, `byte ${at}`).toBe(2);
      }
    }
  });

  test('PSH and padding belong to a train', () => {
    const parts = plainParts(3);
    parts[1] = { ...parts[1]!, change: 'psh' };
    parts[2] = { ...parts[2]!, change: 'padding', n: 17 };
    const chunk = chunkOf(spec, parts, 1);
    expect(ask(chunk)).toMatchObject({ frames: 3, bytes: 1203, last: 402, at: 8192 + chunk.length });
  });

  test('no more than `most`, no more than `room`, none that has not come as a whole', () => {
    const chunk = chunkOf(spec, plainParts(5), 1);
    expect(ask(chunk, { most: 0 }).frames).toBe(0);
    expect(ask(chunk, { most: 2 })).toMatchObject({ frames: 2, bytes: 801, last: 401 });
    expect(ask(chunk, { room: 0 }).frames).toBe(0);
    expect(ask(chunk, { room: 801 }).frames).toBe(2);
    expect(ask(chunk, { room: 800 }).frames).toBe(1);
    expect(ask(chunk, { end: 8192 + chunk.length - 1 }).frames).toBe(4);
    for (let end = 8192; end < 8192 + PREFIX + 466; end++) expect(ask(chunk, { end }).frames).toBe(0);
  });

  test.each(PREFIXES)('a length of %i ends it', (len) => {
    const chunk = chunkOf(spec, plainParts(3), 1);
    chunk.writeUInt32BE(len, 2 * PREFIX + 466 + 467);
    expect(ask(chunk).frames).toBe(2);
  });

  test('RFC 7323 5.3: a timestamp before TS.Recent ends it, one behind it does not', () => {
    const parts = plainParts(3);
    parts[0] = { ...parts[0]!, change: 'late', n: 5 };
    parts[2] = { ...parts[2]!, change: 'early', n: 0 };
    expect(ask(chunkOf(spec, parts, 1)).frames).toBe(2);
  });
});
