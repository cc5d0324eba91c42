// Captures with a limit: a file that ends there, and a ring of files. Whatever the sizes, no frame is split or lost
// between two files, and each file is a capture of its own.

import * as fs from 'node:fs';
import { join, parse } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { PcapFile, type PcapFileOptions } from '../../src/node/pcap-file.ts';
import { readShown, type Shown, Story, shown, tempFolder } from '../support/capture-story.ts';
import { outputOf, testWith } from '../support/tools.ts';

/** What the disk does: writes behind the program's back wait while it is `held`; nothing is written when it is `full`. */
const disk = vi.hoisted(() => ({ isHeld: false, isFull: false, waiting: [] as (() => void)[] }));

vi.mock('node:fs', async (importActual) => {
  const actual = await importActual<typeof fs>();
  const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { errno: -28 });
  return {
    ...actual,
    write(...args: Parameters<typeof actual.write>) {
      const done = args.at(-1) as unknown as (error: Error, written: number) => void;
      const now = disk.isFull
        ? () => queueMicrotask(() => done(noSpace(), 0))
        : () => (actual.write as (...args: unknown[]) => void)(...args);
      if (disk.isHeld) disk.waiting.push(now);
      else now();
    },
    writeSync(...args: Parameters<typeof actual.writeSync>) {
      if (disk.isFull) throw noSpace();
      return (actual.writeSync as (...args: unknown[]) => number)(...args);
    },
  };
});

function letGo(): void {
  disk.isHeld = false;
  for (const write of disk.waiting.splice(0)) write();
}

afterEach(() => {
  disk.isFull = false;
  letGo();
});

const folder = tempFolder('ring');
afterAll(() => folder.remove());

let count = 0;
function open(name: string, options: PcapFileOptions) {
  const place = `${count++}-`;
  const path = folder.path(place + name);
  const messages: string[] = [];
  const say = (message: string): void => {
    messages.push(message.replace(folder.path(place), ''));
  };
  const file = new PcapFile(path, { onError: say, onFull: say, ...options });
  const at = (other: string): string => folder.path(place + other);
  return { file, story: new Story(file), messages, at };
}

function pathsOf(at: (name: string) => string): string[] {
  const { dir, base } = parse(at('.'));
  const names = fs.readdirSync(dir).filter((name) => name.startsWith(base.slice(0, -1)));
  return names.map((name) => join(dir, name));
}

/** The files of a ring, oldest first, by the time of their first frame. */
function filesOf(at: (name: string) => string): { path: string; frames: Shown[] }[] {
  const timeOf = (frames: readonly Shown[]): number =>
    Number(/ (\d{16}) /.exec(frames[0]?.frame ?? '')?.[1] ?? 0);
  return pathsOf(at)
    .map((path) => ({ path, frames: readShown(path) }))
    .sort((a, b) => timeOf(a.frames) - timeOf(b.frames));
}

describe('property: whatever the sizes', () => {
  const question = fc.record({
    link: fc.constantFrom('a', 'b', 'c'),
    len: fc.oneof(fc.integer({ min: 14, max: 200 }), fc.integer({ min: 14, max: 9014 })),
    drop: fc.constantFrom(Drop.None, Drop.TcpNoFlow, Drop.Ipv4UnknownProtocol),
    answers: fc.array(fc.integer({ min: 14, max: 1514 }), { maxLength: 3 }),
  });
  const setting = fc.record({
    size: fc.oneof(fc.integer({ min: 1024, max: 4096 }), fc.integer({ min: 1024, max: 300_000 })),
    files: fc.oneof(fc.constantFrom(2, 3, 4), fc.constant(1000)),
    format: fc.constantFrom('pcap', 'pcapng' as const),
    snapLen: fc.constantFrom(262_144, 60),
    questions: fc.array(question, { minLength: 1, maxLength: 150 }),
  });

  test('the files of a ring hold the last frames, all of them while there are files enough', async () => {
    await fc.assert(
      fc.asyncProperty(setting, async ({ questions, files, size, format, snapLen }) => {
        const { file, story, messages, at } = open('r.cap', { size, files, format, snapLen });
        for (const { link, len, drop, answers } of questions) {
          story.fromGuest(link, len, drop, () => {
            for (const [i, answer] of answers.entries()) story.toGuest(i % 2 === 0 ? link : 'd', answer);
          });
        }
        await file.close();
        expect([file.frames, file.lost, messages]).toEqual([story.told.length, 0, []]);
        const parts = filesOf(at);
        const frames = parts.flatMap((part) => part.frames);
        const expected = shown(story.told, snapLen, format === 'pcapng').slice(-frames.length);
        expect(frames.map(({ frame }) => frame)).toEqual(expected.map(({ frame }) => frame));
        // A reason whose frame is two files back is lost, and counted; with files of a sensible size that never happens.
        const differ = frames.filter(({ comments }, i) => comments !== expected[i]!.comments);
        expect(differ.filter(({ comments }) => comments !== '')).toEqual([]);
        expect(differ.length).toBeLessThanOrEqual(file.reasonsLost);
        if (size > 65_536) expect(file.reasonsLost).toBe(0);
        expect(parts.length).toBeLessThanOrEqual(files);
        if (parts.length < files)
          expect([frames.length, differ.length]).toEqual([story.told.length, file.reasonsLost]);
        for (const part of parts) {
          const { size: length, mode } = fs.statSync(part.path);
          expect(mode & 0o777).toBe(0o600);
          expect(part.frames.length).toBeGreaterThan(0);
          // Longer only where one frame is.
          if (part.frames.length > 1) expect(length).toBeLessThanOrEqual(size);
          fs.rmSync(part.path);
        }
      }),
      { numRuns: 150, seed: 9 },
    );
  });

  test('no file is longer than its limit: reasons, interfaces and statistics that are still to come are reckoned with', async () => {
    for (let size = 1100; size < 1700; size += 4) {
      const { file, story, at } = open('l.pcapng', { size, files: 20 });
      for (let i = 0; i < 16; i++) {
        story.fromGuest(`guest-with-a-long-name-${Math.floor(i / 3)}`, 200, Drop.Ipv4UnknownProtocol);
      }
      await file.close();
      for (const path of pathsOf(at)) {
        expect(fs.statSync(path).size).toBeLessThanOrEqual(size);
        fs.rmSync(path);
      }
    }
  });

  test('a file with a limit holds the first frames', async () => {
    await fc.assert(
      fc.asyncProperty(setting, async ({ questions, size, format }) => {
        const { file, story, messages, at } = open('s.cap', { size, format });
        for (const { link, len, drop } of questions) story.fromGuest(link, len, drop);
        await file.close();
        const frames = readShown(at('s.cap'));
        expect(frames).toEqual(shown(story.told, 262_144, format === 'pcapng').slice(0, frames.length));
        expect([file.frames, file.frames + file.afterFull]).toEqual([frames.length, story.told.length]);
        const full = `--pcap: s.cap: has its ${size} bytes, nothing more is recorded`;
        expect(messages).toEqual(file.afterFull > 0 ? [full] : []);
        if (frames.length > 1) expect(fs.statSync(at('s.cap')).size).toBeLessThanOrEqual(size);
        fs.rmSync(at('s.cap'));
      }),
      { numRuns: 40, seed: 10 },
    );
  });
});

test('who is told that a file has its size may close it at once, and all of it is there', async () => {
  const path = folder.path('closes.pcapng');
  let closed: Promise<void> | null = null;
  const onFull = (): void => {
    closed = file.close();
  };
  const file: PcapFile = new PcapFile(path, { size: 3 << 20, onFull });
  const story = new Story(file);
  while (closed === null) story.fromGuest('a', 9000, Drop.TcpNoFlow);
  story.fromGuest('a', 9000, Drop.TcpNoFlow);
  await closed;
  expect(readShown(path)).toEqual(shown(story.told.slice(0, -2)));
});

describe('names', () => {
  test('the path itself, then with a number before its ending, then the path again', async () => {
    const { file, story, at } = open('session.pcapng', { size: 1024, files: 3 });
    const newest: string[] = [];
    for (let i = 0; i < 7; i++) {
      story.toGuest('a', 900);
      file.flushSync();
      newest.push(filesOf(at).at(-1)!.path.slice(at('').length));
    }
    await file.close();
    expect(newest).toEqual([
      ...['session.pcapng', 'session.1.pcapng', 'session.2.pcapng'],
      ...['session.pcapng', 'session.1.pcapng', 'session.2.pcapng', 'session.pcapng'],
    ]);
  });

  test.each([
    ['x', 12, 'x.01', 'x.11'],
    ['x.pcap', 11, 'x.01.pcap', 'x.10.pcap'],
    ['.x', 10, '.x.1', '.x.9'],
    ['a.b.pcap', 1000, 'a.b.001.pcap', 'a.b.999.pcap'],
  ])('%s, of %i', async (name, files, second, last) => {
    const { ringPaths } = await import('../../src/node/capture-place.ts');
    const paths = ringPaths(`/tmp/d.d/${name}`, files);
    expect([paths.length, new Set(paths).size]).toEqual([files, files]);
    expect([paths[0], paths[1], paths.at(-1)]).toEqual(
      [name, second, last].map((each) => `/tmp/d.d/${each}`),
    );
  });
});

describe('what is in the way', () => {
  test('is refused at the start, in one line, before the first file is touched', () => {
    const path = folder.path('way.pcap');
    fs.mkdirSync(folder.path('way.2.pcap'));
    fs.writeFileSync(path, 'as it was');
    const line = `--pcap: ${folder.path('way.2.pcap')}: is a directory, not a file`;
    expect(() => new PcapFile(path, { size: 1024, files: 3 })).toThrow(line);
    expect(fs.readFileSync(path, 'utf8')).toBe('as it was');
  });

  test('later: recording ends, which is said once, the frames are counted, what there is is whole', async () => {
    const { file, story, messages, at } = open('late.pcapng', { size: 1024, files: 3 });
    fs.mkdirSync(at('late.2.pcapng'));
    for (let i = 0; i < 7; i++) story.toGuest('a', 900);
    await file.close();
    expect(messages).toEqual(['--pcap: late.2.pcapng: is a directory, not a file']);
    expect([file.frames, file.lost]).toEqual([2, 5]);
    fs.rmdirSync(at('late.2.pcapng'));
    expect(filesOf(at).flatMap(({ frames }) => frames)).toEqual(shown(story.told.slice(0, 2)));
  });

  test('an old file: a new one takes its place, and who reads the old one is not disturbed', async () => {
    const { file, story, at } = open('old.pcap', { size: 1024, files: 2 });
    fs.writeFileSync(at('old.1.pcap'), 'old', { mode: 0o644 });
    const reader = fs.openSync(at('old.1.pcap'), 'r');
    for (let i = 0; i < 2; i++) story.toGuest('a', 900);
    await file.close();
    expect(fs.readFileSync(reader, 'utf8')).toBe('old');
    fs.closeSync(reader);
    expect(fs.statSync(at('old.1.pcap')).mode & 0o777).toBe(0o600);
    expect(readShown(at('old.1.pcap'))).toEqual(shown(story.told.slice(1), 262_144, false));
  });

  test('a symbolic link: a file takes its place, and what it leads to is left alone', async () => {
    const { file, story, at } = open('link.pcap', { size: 1024, files: 2 });
    fs.writeFileSync(at('precious'), 'precious');
    fs.symlinkSync(at('precious'), at('link.1.pcap'));
    for (let i = 0; i < 2; i++) story.toGuest('a', 900);
    await file.close();
    expect(fs.readFileSync(at('precious'), 'utf8')).toBe('precious');
    expect(fs.lstatSync(at('link.1.pcap')).isFile()).toBe(true);
    fs.rmSync(at('precious'));
    expect(filesOf(at).flatMap(({ frames }) => frames)).toEqual(shown(story.told, 262_144, false));
  });
});

describe('the disk', () => {
  test('is slow: what is under way when its file is replaced does not end up in the new one', async () => {
    const { file, story, at } = open('slow.pcapng', { size: 2048, files: 2 });
    disk.isHeld = true;
    for (let i = 0; i < 40; i++) story.fromGuest('a', 400 + i, Drop.TcpNoFlow);
    expect(disk.waiting).toHaveLength(2);
    letGo();
    await file.close();
    const frames = filesOf(at).flatMap((part) => part.frames);
    expect(frames).toEqual(shown(story.told).slice(-frames.length));
    expect(frames.length).toBeGreaterThan(4);
  });

  test('is full: one message, the files before are whole, the frames are counted', async () => {
    const { file, story, messages, at } = open('full.pcapng', { size: 100_000, files: 50 });
    const record = (frames: number): void => {
      for (let i = 0; i < frames; i++) story.fromGuest('a', 1514, Drop.IcmpByDesign);
    };
    record(1000);
    file.flushSync();
    disk.isFull = true;
    record(1000);
    await file.close();
    expect(messages).toEqual([
      expect.stringMatching(/^--pcap: full\.\d\d\.pcapng: no space left on device$/),
    ]);
    expect(file.frames + file.lost).toBe(2000);
    // What could not be begun is empty.
    for (const path of pathsOf(at)) if (fs.statSync(path).size === 0) fs.rmSync(path);
    const frames = filesOf(at).flatMap((part) => part.frames);
    expect(frames).toEqual(shown(story.told).slice(0, file.frames));
    expect(file.frames).toBeGreaterThanOrEqual(1000);
  });

  test('descriptors of files that are done are closed', async () => {
    const open_ = (): number => fs.readdirSync('/proc/self/fd').length;
    const before = open_();
    const { file, story } = open('fd.pcap', { size: 1024, files: 2 });
    for (let i = 0; i < 300; i++) story.toGuest('a', 900);
    await file.close();
    file.flushSync();
    expect(open_()).toBe(before);
  });
});

describe('other programs read each file of a ring', () => {
  async function ring(name: string): Promise<{ path: string; frames: Shown[] }[]> {
    const { file, story, at } = open(name, { size: 5000, files: 6 });
    for (let i = 0; i < 30; i++) {
      story.fromGuest(`guest${i % 3}`, 300 + i, Drop.TcpNoFlow, () => story.toGuest('guest0', 60));
    }
    await file.close();
    const parts = filesOf(at);
    expect(parts.length).toBeGreaterThan(2);
    return parts;
  }

  testWith('tcpdump', 'tcpdump, of both formats', async () => {
    for (const name of ['t.pcap', 't.pcapng']) {
      for (const { path, frames } of await ring(name)) {
        const lines = outputOf('tcpdump', ['-r', path, '-n', '-t']).split('\n');
        expect(lines.filter((line) => /^\S/.test(line))).toHaveLength(frames.length);
      }
    }
  });

  testWith('tshark', 'tshark, with links and comments of each', async () => {
    const { tsharkFields } = await import('../support/capture-story.ts');
    for (const { path, frames } of await ring('w.pcapng')) {
      const rows = tsharkFields(path, ['frame.interface_name', 'frame.comment']);
      expect(rows).toEqual(frames.map(({ frame, comments }) => [frame.split(' ')[0], comments]));
    }
  });
});
