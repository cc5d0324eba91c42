// tshark as the judge: for every capture at hand the frames, lengths and times of `usernet show --json` are its own.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { showCapture } from '../../src/cli/show.ts';
import type { CaptureDamage } from '../../src/pcap/frames.ts';
import { filesUnder, hasShared, OWN, SHARED } from '../support/captures.ts';
import { testWith } from '../support/tools.ts';
import { bytes, Classic, FRAME, Ng, SECONDS } from './reader-bytes.ts';
import { countFrames, type FrameRow, type Reading, readEach, readTogether } from './tshark-runs.ts';

/** Every file by a tshark of its own, as for a release; takes two minutes. */
const isSoak = process.env['USERNET_SOAK'] === '1';
const MS = isSoak ? 900_000 : 120_000;

/** A file that is not read to its end. */
interface Stop {
  readonly file: string;
  readonly offset: number;
  readonly reason: string;
}

const STOPS = (JSON.parse(readFileSync('test/pcap/stops-early.json', 'utf8')) as Stop[]).filter(
  ({ file }) => hasShared || !file.startsWith(SHARED),
);

/**
 * Frames with a fraction of a second that is more than a second. We carry it; tshark's 32 bits overflow, and what it says is
 * no time.
 */
const NO_TIME: readonly { file: string; number: number; ours: string; theirs: string }[] = [
  {
    file: `${SHARED}/tcpdump/rx_serviceid_oobr.pcap`,
    number: 2,
    ours: '3841916976000',
    theirs: '-0.2078753920',
  },
];

interface Own {
  readonly rows: readonly FrameRow[];
  readonly damage: CaptureDamage | null;
}

/** What `usernet show --json` says of the file. */
async function ourReading(path: string): Promise<Own> {
  let text = '';
  const { damage } = await showCapture(path, { json: true, filter: null }, async (piece) => {
    text += piece;
    return true;
  });
  const lines = text.split('\n').filter((line) => line !== '');
  const rows = lines.map((line) => {
    const { number, time, capturedLength, originalLength } = JSON.parse(line) as FrameRow;
    return { number, time, capturedLength, originalLength };
  });
  return { rows, damage };
}

const files = [...filesUnder(OWN), ...filesUnder(SHARED)];
const ours = new Map<string, Own>();
beforeAll(async () => {
  for (const path of files) ours.set(path, await ourReading(path));
}, MS);

/** Where our frames are not tshark's. */
function differences(path: string, own: Own, { rows, error }: Reading): string[] {
  const excused = NO_TIME.filter(({ file }) => file === path);
  const expected = rows.map((row) => {
    const found = excused.find(({ number, theirs }) => number === row.number && theirs === row.time);
    return found === undefined ? row : { ...row, time: found.ours };
  });
  // Who stops later may have read more.
  const most = Math.min(
    error === '' ? Number.POSITIVE_INFINITY : rows.length,
    own.damage === null ? Number.POSITIVE_INFINITY : own.rows.length,
  );
  const text = (row: FrameRow | undefined): string => JSON.stringify(row);
  const length = Math.min(most, Math.max(own.rows.length, rows.length));
  return Array.from({ length }, (_, i) => i)
    .filter((i) => text(own.rows[i]) !== text(expected[i]))
    .map((i) => `${path}: ours ${text(own.rows[i])}, tshark's ${text(expected[i])}`);
}

testWith(
  'tshark',
  'every capture at hand: number of frames, lengths and times are those of tshark, and we stop nowhere that it does not',
  async () => {
    expect(files.length).toBeGreaterThan(hasShared ? 340 : 0);
    const counts = await countFrames(files);
    const alone = files.filter(
      (path) => isSoak || !counts.has(path) || NO_TIME.some(({ file }) => file === path),
    );
    const together = files.filter((path) => !alone.includes(path));
    const theirs = new Map([...(await readEach(alone)), ...(await readTogether(together, counts))]);
    expect([...theirs.keys()].sort()).toEqual([...files].sort());
    expect(files.flatMap((path) => differences(path, ours.get(path)!, theirs.get(path)!))).toEqual([]);

    // Where tshark stops too, as capinfos does.
    const theirStops = files.filter((path) => theirs.get(path)!.error !== '');
    expect(theirStops).toEqual(files.filter((path) => !counts.has(path)));
    expect(STOPS.map(({ file }) => file).filter((file) => !theirStops.includes(file))).toEqual([]);
    expect(STOPS.length).toBeLessThanOrEqual(theirStops.length);
  },
  MS,
);

test('the files that are not read to their end are those of stops-early.json', () => {
  const stops = files.flatMap((file) => {
    const damage = ours.get(file)!.damage;
    return damage === null ? [] : [{ file, ...damage }];
  });
  expect(stops).toEqual(STOPS);
});

const little = new Classic();
const big = new Classic(false);
const ng = new Ng();
const bigNg = new Ng(false);
const MICROS = BigInt(SECONDS) * 1_000_000n + 123_456n;
const RECORD = little.record(SECONDS, 123_456, FRAME, 1514);
const resolution = (value: number): Uint8Array => ng.interface(ng.option(9, Uint8Array.of(value)));

/** What no capture at hand has. A resolution finer than nanoseconds is not here: tshark's 64 bits overflow. */
const MADE: Readonly<Record<string, Uint8Array>> = {
  'nano.pcap': bytes(little.header({ magic: 0xa1b23c4d }), little.record(SECONDS, 123_456_789, FRAME)),
  'nano-big.pcap': bytes(big.header({ magic: 0xa1b23c4d }), big.record(SECONDS, 123_456_789, FRAME)),
  'kuznetzov.pcap': bytes(
    little.header({ magic: 0xa1b2cd34 }),
    ...[1, 2, 3].flatMap((i) => [little.u32(SECONDS + i, i, 60, 60, 1, 8), FRAME]),
  ),
  'version-2.2.pcap': bytes(little.header({ version: [2, 2] }), little.u32(SECONDS, 0, 70, 60), FRAME),
  'version-2.3.pcap': bytes(
    little.header({ version: [2, 3] }),
    RECORD,
    little.u32(SECONDS, 0, 70, 60),
    FRAME,
  ),
  'version-543.pcap': bytes(little.header({ version: [543, 0] }), little.u32(SECONDS, 0, 70, 60), FRAME),
  'year-2106.pcap': bytes(little.header(), little.record(0xffff_ffff, 999_999, FRAME)),
  'raw-ip.pcap': bytes(little.header({ linkType: 101 }), RECORD),
  'simple.pcapng': bytes(
    ng.section(),
    ng.interface(new Uint8Array(), 1, 40),
    ng.simplePacket(FRAME.slice(0, 40), 60),
  ),
  'old-packet.pcapng': bytes(ng.section(), ng.interface(), ng.oldPacket(0, MICROS, FRAME)),
  'sections.pcapng': bytes(
    ...[ng.section(), ng.interface(), ng.packet(0, MICROS, FRAME)],
    ...[bigNg.section(1, 2), bigNg.interface(new Uint8Array(), 101), bigNg.interface()],
    ...[bigNg.packet(1, MICROS, FRAME), bigNg.packet(0, MICROS + 1n, FRAME.slice(0, 5), { wireLen: 6 })],
  ),
  'resolutions.pcapng': bytes(
    ng.section(),
    ...[0, 1, 3, 9, 0x80, 0x8a, 0x9e, 0xa0, 0xa1].map(resolution),
    ng.interface(ng.option(14, ng.i64(-1000n))),
    ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) =>
      ng.packet(id, id === 0 || id === 4 ? 1_700_000_000n : MICROS, FRAME),
    ),
  ),
  'odd-length.pcapng': bytes(
    ...[ng.section(), ng.interface(), ng.u32(0x99, 17), new Uint8Array(8), ng.u32(17)],
    ng.packet(0, MICROS, FRAME),
  ),
  'cut.pcap': bytes(little.header(), RECORD, RECORD.slice(0, 40)),
  'cut.pcapng': bytes(
    ng.section(),
    ng.interface(),
    ng.packet(0, MICROS, FRAME),
    ng.packet(0, MICROS, FRAME),
  ).slice(0, -9),
  // Good records first: from absurd ones among them tshark takes it for the format of another patched libpcap.
  'absurd.pcap': bytes(
    ...[little.header(), RECORD, RECORD, RECORD, RECORD],
    ...[little.u32(SECONDS, 0, 262_145, 60), new Uint8Array(262_145)],
  ),
  'no-interface.pcapng': bytes(
    ng.section(),
    ng.interface(),
    ng.packet(0, MICROS, FRAME),
    ng.packet(1, MICROS, FRAME),
  ),
  'option.pcapng': bytes(
    ...[ng.section(), ng.interface(), ng.packet(0, MICROS, FRAME)],
    ng.packet(0, MICROS, FRAME, { options: bytes(ng.u16(1, 400), new Uint8Array(4)) }),
  ),
};

testWith(
  'tshark',
  'formats and damage that no capture at hand has: the same frames, and a stop where tshark stops',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'usernet-made-'));
    try {
      const paths = Object.keys(MADE).map((name) => join(dir, name));
      for (const [name, file] of Object.entries(MADE)) writeFileSync(join(dir, name), file);
      const theirs = await readEach(paths);
      for (const path of paths) {
        const [own, reading] = [await ourReading(path), theirs.get(path)!];
        expect(own.rows.length, path).toBeGreaterThan(0);
        expect(differences(path, own, reading)).toEqual([]);
        expect([path, own.rows.length, own.damage !== null]).toEqual([
          path,
          reading.rows.length,
          reading.error !== '',
        ]);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
  MS,
);
