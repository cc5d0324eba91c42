import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PcapPacket, parse } from 'pcap-parser';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Memory, memoryOver } from '../../src/base/memory.ts';
import { PcapFile, type PcapFileOptions, type PcapLink } from '../../src/node/pcap-file.ts';
import { FRAMES } from '../support/frames.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { outputOf, testWith } from '../support/tools.ts';

/** What the disk does: fails for bytes from `full` on, takes at most `most` bytes a write, and may be held up. */
const disk = vi.hoisted(() => ({
  full: Number.POSITIVE_INFINITY,
  most: Number.POSITIVE_INFINITY,
  syncWrites: 0,
}));

vi.mock('node:fs', async (importActual) => {
  const actual = await importActual<typeof fs>();
  const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { errno: -28 });
  return {
    ...actual,
    write(
      fd: number,
      bytes: Buffer,
      off: number,
      len: number,
      at: number,
      done: (...args: unknown[]) => void,
    ) {
      if (at + len > disk.full) queueMicrotask(() => done(noSpace(), 0));
      else actual.write(fd, bytes, off, Math.min(len, disk.most), at, done);
    },
    writeSync(fd: number, bytes: Buffer, off: number, len: number, at: number): number {
      disk.syncWrites++;
      if (at + len > disk.full) throw noSpace();
      return actual.writeSync(fd, bytes, off, Math.min(len, disk.most), at);
    },
  };
});

const folder = fs.mkdtempSync(join(tmpdir(), 'usernet-pcap-'));
let path = '';
let count = 0;

beforeEach(() => {
  path = join(folder, `${count++}.pcap`);
});

afterEach(() => {
  Object.assign(disk, { full: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY, syncWrites: 0 });
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

const START = 1_600_000_000_000;

interface Recorded {
  readonly frame: Uint8Array;
  readonly wallMs: number;
}

/** Random bytes, and where each of the frames of random length in them is. */
function randomFrames(howMany: number, maxLen: number): { memory: Memory; list: Recorded[]; offs: number[] } {
  const random = new SeededRandom(2);
  const memory = memoryOver(Uint8Array.from({ length: 100_000 }, () => random.word()));
  const list: Recorded[] = [];
  const offs: number[] = [];
  let micros = 1000 * START;
  for (let i = 0; i < howMany; i++) {
    const len = 14 + random.below(maxLen - 13);
    const off = random.below(memory.bytes.length - len);
    micros += random.below(5000);
    list.push({ frame: memory.bytes.subarray(off, off + len), wallMs: micros / 1000 });
    offs.push(off);
  }
  return { memory, list, offs };
}

/** A capture at `path`, and what records into it. */
function open(options: PcapFileOptions = {}): { file: PcapFile; link: PcapLink } {
  const file = new PcapFile(path, options);
  return { file, link: file.recorderOf({ name: 'guest0' })! };
}

async function writeRandom(howMany: number, maxLen: number, options: PcapFileOptions = {}) {
  const { memory, list, offs } = randomFrames(howMany, maxLen);
  const { file, link } = open(options);
  for (const [i, { frame, wallMs }] of list.entries()) {
    link.record(i % 2 === 0 ? 'from-guest' : 'to-guest', memory, offs[i]!, frame.length, wallMs);
  }
  await file.close();
  return { file, list };
}

/** Records FRAMES, one every 1.5 ms. */
async function writeKnown(options: PcapFileOptions = {}): Promise<Recorded[]> {
  const { file, link } = open(options);
  // Of LLDP there is no more than the header in that frame, and programs rightly complain.
  const list = Object.values({ ...FRAMES, lldp: FRAMES.arpRequest }).map((frame, i) => ({
    frame,
    wallMs: START + 1.5 * i,
  }));
  for (const { frame, wallMs } of list) link.record('to-guest', memoryOver(frame), 0, frame.length, wallMs);
  await file.close();
  return list;
}

async function readBack(): Promise<PcapPacket[]> {
  const packets: PcapPacket[] = [];
  // In one piece: the parser copies what it has for every piece that comes.
  const parser = parse(fs.createReadStream(path, { highWaterMark: 1 << 28 }));
  parser.on('packet', (packet: PcapPacket) => packets.push(packet));
  await once(parser, 'end');
  return packets;
}

/** The packets are the first of `list`, byte for byte up to `snapLen`. */
function expectSame(packets: readonly PcapPacket[], list: readonly Recorded[], snapLen = 262_144): void {
  for (const [i, { header, data }] of packets.entries()) {
    const { frame, wallMs } = list[i]!;
    const micros = Math.round(wallMs * 1000);
    expect(header.timestampSeconds * 1e6 + header.timestampMicroseconds).toBe(micros);
    expect(header.originalLength).toBe(frame.length);
    expect(header.capturedLength).toBe(Math.min(frame.length, snapLen));
    expect(data.equals(frame.subarray(0, snapLen))).toBe(true);
  }
}

describe('a file is read back', () => {
  test('by pcap-parser: every frame, its length, its time to the microsecond, its bytes', async () => {
    const { file, list } = await writeRandom(3000, 2000);
    expect([file.frames, file.lost]).toEqual([3000, 0]);
    const packets = await readBack();
    expect(packets.length).toBe(3000);
    expectSame(packets, list);
  });

  test('by pcap-parser: frames cut off at the snap length', async () => {
    const list = await writeKnown({ snapLen: 60 });
    const packets = await readBack();
    expect(packets.length).toBe(list.length);
    expectSame(packets, list, 60);
  });

  testWith('tcpdump', 'by tcpdump: without a complaint', async () => {
    const list = await writeKnown();
    const lines = outputOf('tcpdump', ['-r', path, '-n', '-tt', '-e']).trim().split('\n');
    expect(lines.length).toBe(list.length);
    for (const [i, { frame, wallMs }] of list.entries()) {
      expect(lines[i]).toMatch(
        `${Math.floor(wallMs / 1000)}.${String((wallMs % 1000) * 1000).padStart(6, '0')} `,
      );
      expect(lines[i]).toMatch(`length ${frame.length}`);
      expect(lines[i]).not.toMatch(/bad|truncated|\[\|/);
    }
  });

  testWith('tshark', 'by tshark: in nanoseconds too, every checksum right', async () => {
    const list = await writeKnown({ precision: 'nano', snapLen: 1000 });
    const fields = ['frame.time_epoch', 'frame.len', 'frame.cap_len', '_ws.malformed'];
    const checks = ['ip', 'tcp', 'udp'].flatMap((proto) => ['-o', `${proto}.check_checksum:TRUE`]);
    const args = ['-r', path, '-n', '-T', 'fields', ...fields.flatMap((field) => ['-e', field]), ...checks];
    const rows = outputOf('tshark', args).trimEnd().split('\n');
    expect(rows.length).toBe(list.length);
    for (const [i, row] of rows.entries()) {
      const [time, len, captured, malformed] = row.split('\t');
      expect(Number(time)).toBeCloseTo(list[i]!.wallMs / 1000, 6);
      expect(Number(len)).toBe(list[i]!.frame.length);
      expect(Number(captured)).toBe(Math.min(list[i]!.frame.length, 1000));
      expect(malformed ?? '').toBe('');
    }
    const bad = 'ip.checksum.status==0 or tcp.checksum.status==0 or udp.checksum.status==0';
    expect(outputOf('tshark', ['-r', path, '-n', ...checks, '-Y', bad])).toBe('');
  });
});

describe('the disk', () => {
  test('is slower than the frames: a chunk is written synchronously, nothing is lost', async () => {
    const { list } = await writeRandom(6000, 2000);
    expect(disk.syncWrites).toBeGreaterThan(0);
    const packets = await readBack();
    expect(packets.length).toBe(6000);
    expectSame(packets, list);
  });

  test('takes less at a time than it is given: the rest follows', async () => {
    disk.most = 10_000;
    const { list } = await writeRandom(3000, 2000);
    const packets = await readBack();
    expect(packets.length).toBe(3000);
    expectSame(packets, list);
  });

  test('is full: one message, the frames are counted, the file ends with a whole record', async () => {
    disk.full = 3_000_000;
    const messages: string[] = [];
    const { file, list } = await writeRandom(6000, 2000, { onError: (message) => messages.push(message) });
    expect(messages).toEqual([`--pcap: ${path}: no space left on device`]);
    const packets = await readBack();
    expect(packets.length).toBeGreaterThan(1000);
    expect(packets.length).toBe(file.frames);
    expect(file.frames + file.lost).toBe(6000);
    expectSame(packets, list);
  });

  test('is full from the start: an empty file, and close() still ends', async () => {
    disk.full = 10;
    const messages: string[] = [];
    const { file } = await writeRandom(5, 100, {
      onError: (message) => messages.push(message),
      option: '-w',
    });
    expect(messages).toEqual([`-w: ${path}: no space left on device`]);
    expect([file.frames, file.lost, fs.statSync(path).size]).toEqual([0, 5, 0]);
  });
});

describe('writing', () => {
  test('flushSync() has everything in the file when it returns, chunks under way included', async () => {
    const { memory, list, offs } = randomFrames(1500, 2000);
    const { file, link } = open();
    for (const [i, { frame, wallMs }] of list.entries()) {
      link.record('to-guest', memory, offs[i]!, frame.length, wallMs);
    }
    file.flushSync();
    const size = list.reduce((sum, { frame }) => sum + 16 + frame.length, 24);
    expect(fs.readFileSync(path).length).toBe(size);
    link.record('to-guest', memory, 0, 60, START);
    await file.close();
    expect((await readBack()).length).toBe(1501);
  });

  test('what comes after close() is ignored, and close() may be called again', async () => {
    const { file, link } = open();
    await file.close();
    await file.close();
    link.record('to-guest', memoryOver(FRAMES.udpEcho), 0, 47, START);
    file.flushSync();
    expect(fs.statSync(path).size).toBe(24);
  });

  test('a chunk that does not fill is in the file soon, without close()', async () => {
    const { file, link } = open();
    link.record('to-guest', memoryOver(FRAMES.udpEcho), 0, 47, START);
    await vi.waitFor(() => expect(fs.statSync(path).size).toBe(24 + 16 + 47), {
      timeout: 10_000,
      interval: 50,
    });
    await file.close();
  });
});

describe('where it is written', () => {
  test('a new file is for its owner alone, an old one is emptied', async () => {
    const before = process.umask(0);
    try {
      await writeKnown();
    } finally {
      process.umask(before);
    }
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
    await new PcapFile(path).close();
    expect(fs.statSync(path).size).toBe(24);
  });

  test('an old file that others may read is closed to them before anything is in it', async () => {
    fs.writeFileSync(path, 'old');
    fs.chmodSync(path, 0o666);
    const file = new PcapFile(path);
    expect([fs.statSync(path).mode & 0o777, fs.statSync(path).size]).toEqual([0o600, 0]);
    await file.close();
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
  });

  test('what is no file is refused in one line that names the option, and left alone', async () => {
    const refused = (where: string): string => {
      try {
        new PcapFile(where);
      } catch (error) {
        return (error as Error).message;
      }
      return 'taken';
    };
    fs.mkdirSync(path);
    expect(refused(path)).toBe(`--pcap: ${path}: is a directory, not a file`);
    const pipe = `${path}.pipe`;
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    expect(refused(pipe)).toBe(`--pcap: ${pipe}: is a named pipe, not a file`);
    const socket = `${path}.sock`;
    const server = createServer().listen(socket);
    await once(server, 'listening');
    expect(refused(socket)).toBe(`--pcap: ${socket}: is a socket, not a file`);
    server.close();
    expect(refused('/dev/null')).toBe('--pcap: /dev/null: is a device, not a file');
    expect(refused(join(folder, 'no', 'x.pcap'))).toBe(
      `--pcap: ${join(folder, 'no', 'x.pcap')}: no such file or directory`,
    );
  });
});
