// The reader of captures: bytes of file per second, with a handler that looks at every field and at the frame's first
// bytes, as a filter would. The capture is made in memory and read from there in pieces, and once from a file, which the
// system has in its cache. Rounds of all in turn, medians.
//   node tools/run.mjs bench/capture-reader.ts [--rounds N] [--mib N] [--json FILE]

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCaptureFile } from '../src/node/capture-input.ts';
import type { CaptureDamage, CaptureFrame } from '../src/pcap/frames.ts';
import { CaptureReader } from '../src/pcap/reader.ts';
import { median } from './statistics.ts';

const MIB = 1 << 20;
const FRAME_LEN = 1514;
const SMALL_LEN = 60;
/** As node/capture-input.ts reads. */
const PIECE_LEN = MIB;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    mib: { type: 'string', default: '256' },
    json: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const fileLen = Number(values.mib) * MIB;

type Write = (view: DataView, at: number, frameLen: number, i: number) => number;

interface Case {
  readonly name: string;
  readonly file: Uint8Array;
  readonly frames: number;
  readonly pieceLen: number;
}

/** A classic record with its time in fractions of a second. */
const classicRecord: Write = (view, at, frameLen, i) => {
  view.setUint32(at, 1_700_000_000 + (i >>> 10), true);
  view.setUint32(at + 4, i & 1023, true);
  view.setUint32(at + 8, frameLen, true);
  view.setUint32(at + 12, frameLen, true);
  return at + 16 + frameLen;
};

/** An Enhanced Packet Block with its time in nanoseconds. */
const enhancedPacket: Write = (view, at, frameLen, i) => {
  const len = 32 + ((frameLen + 3) & ~3);
  for (const [field, value] of [6, len, 0, 0x17979cfe + (i >>> 20), i << 12, frameLen, frameLen].entries()) {
    view.setUint32(at + 4 * field, value, true);
  }
  view.setUint32(at + len - 4, len, true);
  return at + len;
};

function capture(
  name: string,
  head: readonly number[],
  frameLen: number,
  write: Write,
  pieceLen: number,
): Case {
  const file = new Uint8Array(fileLen).fill(0x5a);
  const view = new DataView(file.buffer);
  for (const [i, word] of head.entries()) view.setUint32(4 * i, word, true);
  let end = 4 * head.length;
  let frames = 0;
  while (end + frameLen + 40 <= fileLen) end = write(view, end, frameLen, frames++);
  return { name, file: file.subarray(0, end), frames, pieceLen };
}

const CLASSIC = [0xa1b2c3d4, 0x00040002, 0, 0, 262_144, 1];
/** Section, and an interface with nanoseconds. */
const NG = [
  ...[0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28],
  ...[1, 28, 1, 262_144, 0x0001_0009, 9, 28],
];

const CASES: readonly Case[] = [
  capture(`classic, ${FRAME_LEN} B`, CLASSIC, FRAME_LEN, classicRecord, PIECE_LEN),
  capture(`pcapng, ${FRAME_LEN} B`, NG, FRAME_LEN, enhancedPacket, PIECE_LEN),
  capture(`classic, ${FRAME_LEN} B, pieces of 64 KiB`, CLASSIC, FRAME_LEN, classicRecord, 65_536),
  capture(`classic, ${SMALL_LEN} B`, CLASSIC, SMALL_LEN, classicRecord, PIECE_LEN),
  capture(`pcapng, ${SMALL_LEN} B`, NG, SMALL_LEN, enhancedPacket, PIECE_LEN),
];

/** Uses what a handler would, so that nothing of it can be left out. */
class Looker {
  frames = 0;
  sum = 0;
  readonly look = (frame: CaptureFrame): void => {
    const { memory, off, len, source } = frame;
    this.frames++;
    this.sum += frame.seconds + frame.nanoseconds + frame.number + len + frame.wireLen + source.linkType;
    // The EtherType and the address behind it, frame.comments.length so that it is read at all.
    this.sum += memory.view.getUint16(off + 12) + memory.view.getInt32(off + 26) + frame.comments.length;
  };
}

interface Measured {
  readonly ms: number;
  readonly heapPerFrame: number;
}

/** Reads the capture once with `readAll`; milliseconds, and bytes of heap that were taken for each frame. */
async function round(
  { name, frames }: Case,
  readAll: (look: Looker['look']) => CaptureDamage | null | Promise<CaptureDamage | null>,
): Promise<Measured> {
  const looker = new Looker();
  const heap = process.memoryUsage().heapUsed;
  const since = performance.now();
  const damage = await readAll(looker.look);
  const ms = performance.now() - since;
  if (damage !== null || looker.frames !== frames || looker.sum === 0)
    throw new Error(`${name}: ${looker.frames} of ${frames} frames, ${damage?.reason}`);
  return { ms, heapPerFrame: (process.memoryUsage().heapUsed - heap) / frames };
}

function readPieces({ file, pieceLen }: Case, look: Looker['look']): CaptureDamage | null {
  const reader = new CaptureReader(look);
  for (let at = 0; at < file.length; at += pieceLen) reader.push(file.subarray(at, at + pieceLen));
  return reader.end();
}

const dir = mkdtempSync(join(tmpdir(), 'usernet-bench-'));
const path = join(dir, 'capture');
const [first] = CASES as [Case];
writeFileSync(path, first.file);
const runs = [
  ...CASES.map((each) => ({
    each,
    name: each.name,
    once: () => round(each, (look) => readPieces(each, look)),
  })),
  {
    each: first,
    name: `${first.name}, from a file`,
    once: () => round(first, (look) => readCaptureFile(path, look)),
  },
];
const measured = runs.map((): Measured[] => []);
// The first round is for the compiler.
for (let i = 0; i <= rounds; i++) {
  for (const [n, { once }] of runs.entries()) {
    const one = await once();
    if (i > 0) measured[n]!.push(one);
  }
}
rmSync(dir, { recursive: true });

const results = runs.map(({ each, name }, n) => {
  const ms = median(measured[n]!.map((m) => m.ms));
  return {
    name,
    gbytesPerSecond: each.file.length / ms / 1e6,
    nsPerFrame: (ms * 1e6) / each.frames,
    heapPerFrame: median(measured[n]!.map((m) => m.heapPerFrame)),
  };
});
const out = [
  `capture reader, ${values.mib} MiB, Node ${process.version}, ${cpus()[0]?.model ?? 'unknown'}; medians of ${rounds}`,
  '',
  '| | GB/s of file | ns per frame | bytes of heap per frame |',
  '|---|---|---|---|',
  ...results.map(
    (r) =>
      `| ${r.name} | ${r.gbytesPerSecond.toFixed(1)} | ${r.nsPerFrame.toFixed(0)} | ${r.heapPerFrame.toFixed(1)} |`,
  ),
];
process.stdout.write(`${out.join('\n')}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
