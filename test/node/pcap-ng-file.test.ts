// What a capture in pcapng tells besides the frames: links, directions, comments, and why a frame was dropped, which is
// known only when its answers have been recorded.

import { statSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { captureLink } from '../../src/link/capture.ts';
import { PcapFile, type PcapFileOptions } from '../../src/node/pcap-file.ts';
import type { FrameFilter } from '../../src/pcap/filter.ts';
import { readShown, Story, shown, tempFolder, tsharkFields } from '../support/capture-story.ts';
import { FRAMES } from '../support/frames.ts';
import { arp, echo, ethernet, tcp, udp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';
import { outputOf, testWith } from '../support/tools.ts';

const folder = tempFolder('pcapng');
afterAll(() => folder.remove());

let count = 0;
function open(options: PcapFileOptions = {}): { file: PcapFile; path: string; story: Story } {
  const path = folder.path(`${count++}.pcapng`);
  const file = new PcapFile(path, options);
  return { file, path, story: new Story(file) };
}

/** A chunk, as capture-disk.ts has it. */
const CHUNK_LEN = 1 << 20;

test('frames that differ in any byte are told apart', () => {
  const frame = { link: 'qemu0', direction: 'to-guest', wallMs: 0 } as const;
  const texts = Array.from({ length: 60 }, (_, at) => {
    const bytes = new Uint8Array(60);
    bytes[at] = 1;
    return shown([{ ...frame, bytes, comments: [] }])[0]!.frame;
  });
  expect(new Set(texts).size).toBe(60);
});

describe('the reason of a drop', () => {
  test('is at the question, which stays before its answer', async () => {
    const { file, path, story } = open();
    story.fromGuest('qemu0', 60, Drop.TcpNoFlow, () => story.toGuest('qemu0', 54));
    story.fromGuest('qemu0', 61);
    story.fromGuest('qemu0', 62, Drop.IcmpByDesign);
    await file.close();
    expect(readShown(path)).toEqual(shown(story.told));
    expect(readShown(path).map(({ comments }) => comments)).toEqual([
      'dropped: TcpNoFlow',
      '',
      '',
      'dropped: IcmpByDesign',
    ]);
    expect(file.reasonsLost).toBe(0);
  });

  test('is there wherever the question is in its chunk: the last bytes of it, one after the other', async () => {
    // A record of 100 bytes takes 144, a chunk begins with 44 bytes of section and 44 of interface.
    for (let left = 130; left <= 260; left += 10) {
      const { file, path, story } = open();
      for (let used = 88; used < CHUNK_LEN - left - 4000; used += 2044) story.toGuest('qemu0', 2000);
      const rest = CHUNK_LEN - left - lengthSoFar(story) - 44;
      story.toGuest('qemu0', rest - (rest % 4));
      story.fromGuest('qemu0', 100, Drop.UdpPortZero, () => {
        for (let i = 0; i < 20; i++) story.toGuest('qemu0', 70);
      });
      story.fromGuest('qemu0', 100, Drop.TcpPortZero);
      await file.close();
      expect(readShown(path)).toEqual(shown(story.told));
      expect(file.reasonsLost).toBe(0);
    }
  });

  test('property: with answers in between, frames of other links among them, over many chunks', async () => {
    const len = fc.oneof(fc.integer({ min: 14, max: 1514 }), fc.integer({ min: 14, max: 65_000 }));
    const question = fc.record({
      len,
      drop: fc.constantFrom(Drop.None, Drop.TcpNoFlow, Drop.Ipv4UnknownProtocol),
      answers: fc.array(len, { maxLength: 4 }),
      inner: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(question, { minLength: 60, maxLength: 120 }), async (questions) => {
        const { file, path, story } = open();
        for (const { len, drop, answers, inner } of questions) {
          story.fromGuest('a', len, drop, () => {
            for (const answer of answers) story.toGuest('b', answer);
            if (inner) story.fromGuest('b', len, Drop.ArpNotForUs, () => story.toGuest('a', 60));
            story.toGuest('a', 54);
          });
        }
        await file.close();
        expect([file.frames, file.lost, file.reasonsLost]).toEqual([story.told.length, 0, 0]);
        expect(readShown(path)).toEqual(shown(story.told));
      }),
      { numRuns: 12, seed: 4 },
    );
  });

  test('is lost when more than a chunk comes before it, which is counted; the record is there', async () => {
    const { file, path, story } = open();
    const flood = (frames: number) => (): void => {
      for (let i = 0; i < frames; i++) story.toGuest(`qemu${i % 7}`, 60_000);
    };
    story.fromGuest('raw', 60_000, Drop.EthernetNotForUs, flood(30));
    expect(file.reasonsLost).toBe(0);
    story.fromGuest('raw', 60_000, Drop.EthernetNotForUs, flood(60));
    expect(file.reasonsLost).toBe(1);
    story.fromGuest('raw', 60_000, Drop.None, flood(60));
    story.fromGuest('raw', 60_000, Drop.EthernetNotForUs, flood(3));
    expect(file.reasonsLost).toBe(1);
    await file.close();
    const expected = shown(story.told);
    expected[31] = { ...expected[31]!, comments: '' };
    expect(readShown(path)).toEqual(expected);
  });

  test('may come after flushSync(): then it is lost, which is counted, and nothing else', async () => {
    const { file, path, story } = open();
    story.fromGuest('a', 60, Drop.TcpNoFlow, () => file.flushSync());
    story.fromGuest('a', 61, Drop.TcpNoFlow);
    await file.close();
    expect(file.reasonsLost).toBe(1);
    expect(readShown(path).map(({ comments }) => comments)).toEqual(['', 'dropped: TcpNoFlow']);
  });

  test('may never come: the network threw. The frames are there, soon, and all others have theirs', async () => {
    const { file, path, story } = open();
    story.record('a', 'from-guest', 60);
    story.record('b', 'from-guest', 60);
    story.fromGuest('a', 61, Drop.TcpNoFlow, () => story.toGuest('a', 54));
    await vi.waitFor(() => expect(readShown(path)).toEqual(shown(story.told)), {
      timeout: 10_000,
      interval: 50,
    });
    story.fromGuest('a', 62, Drop.TcpNoFlow, () => {
      for (let i = 0; i < 30; i++) story.toGuest('a', 60_000);
    });
    await file.close();
    expect(readShown(path)).toEqual(shown(story.told));
  });

  test('that never came costs no other frame its own', async () => {
    const { file, path, story } = open();
    story.record('a', 'from-guest', 60);
    for (let i = 0; i < 100; i++) story.fromGuest('a', 100, Drop.TcpNoFlow, () => story.toGuest('a', 60_000));
    await file.close();
    expect(file.reasonsLost).toBe(0);
    expect(readShown(path)).toEqual(shown(story.told));
  });
});

/** Bytes of a file with one link and these frames, none of which has a comment. */
function lengthSoFar(story: Story): number {
  return story.told.reduce((sum, { bytes }) => sum + 44 + Math.ceil(bytes.length / 4) * 4, 88);
}

describe('links', () => {
  test('an interface appears where its link first shows, and one of the same name is the same', async () => {
    const { file, path, story } = open();
    story.fromGuest('qemu0', 60);
    story.toGuest('qemu1', 60);
    file.recorderOf({ name: 'silent' });
    story.toGuest('qemu0', 60);
    const again = new Story(file);
    again.fromGuest('qemu1', 70);
    await file.close();
    expect(readShown(path).map(({ frame }) => frame.split(' ')[0])).toEqual([
      'qemu0',
      'qemu1',
      'qemu0',
      'qemu1',
    ]);
  });

  test('a file has 1024 of them; those that come later share one more', async () => {
    const { file, path, story } = open();
    for (let i = 0; i < 1030; i++) story.toGuest(`guest${i}`, 14);
    story.toGuest('guest5', 14);
    story.toGuest('guest1029', 14);
    await file.close();
    const names = readShown(path).map(({ frame }) => frame.slice(0, frame.indexOf(' 16')));
    expect(names.slice(1020)).toEqual([
      ...['guest1020', 'guest1021', 'guest1022', 'guest1023', 'other links', 'other links', 'other links'],
      ...['other links', 'other links', 'other links', 'guest5', 'other links'],
    ]);
  });

  test('links= takes the frames of these alone', async () => {
    const { file, path } = open({ links: ['a', 'c'] });
    expect(file.recorderOf({ name: 'b' })).toBeNull();
    const story = new Story(file);
    story.fromGuest('c', 60);
    story.toGuest('a', 61);
    await file.close();
    expect(readShown(path)).toEqual(shown(story.told));
  });
});

test('a comment of the caller, and the reason of a drop behind it', async () => {
  const { file, path, story } = open();
  story.record('a', 'to-guest', 60, 'seen by hand: ü');
  const asked = story.record('a', 'from-guest', 60, 'mine');
  story.toGuest('a', 54);
  file.recorderOf({ name: 'a' })?.verdict(Drop.TcpNoFlow);
  await file.close();
  expect(readShown(path).map(({ comments }) => comments)).toEqual(['seen by hand: ü', asked.comments[0], '']);
});

describe('a filter', () => {
  const wanted = (bytes: Uint8Array): boolean => bytes[12] === 8 && bytes[13] === 6;

  test("by tcpdump's words: the frames that match, and their drops", async () => {
    const { file, path } = open({ filter: 'arp or icmp' });
    const bench = new RawBench({}, 1514, (link) => captureLink(link, file));
    bench.sends(tcp({ flags: 16 }), echo(), udp('x'), arp(1, '10.0.2.15', '10.0.2.2'));
    await file.close();
    const list = readShown(path);
    // The ping, and the question for the gateway with its answer; not the segment, nor its reset.
    expect(list.map(({ comments }) => comments)).toEqual(['dropped: IcmpByDesign', '', '']);
    expect(file.frames).toBe(3);
  });

  test('by a function', async () => {
    const filter: FrameFilter = {
      text: 'mine',
      matches: ({ bytes }, off, len) => wanted(bytes.subarray(off, off + len)),
    };
    const { file, path } = open({ filter });
    const bench = new RawBench({}, 1514, (link) => captureLink(link, file));
    bench.sends(udp('x'), arp(1, '10.0.2.15', '10.0.2.2'));
    await file.close();
    expect(readShown(path)).toHaveLength(2);
  });

  test('sees frames whole, whatever is kept of them', async () => {
    const { file, path } = open({ filter: 'udp port 7', snapLen: 14 });
    const bench = new RawBench({}, 1514, (link) => captureLink(link, file));
    bench.sends(udp('hello'), udp('x', { dport: 8 }));
    await file.close();
    expect(readShown(path)).toHaveLength(1);
  });
});

describe('other programs', () => {
  /** Three guests; frames between two of them, to the gateway, dropped, answered and flooded. */
  async function conversation(options: PcapFileOptions = {}): Promise<string> {
    const { file, path } = open(options);
    const wrap = (link: Parameters<typeof captureLink>[0]) => captureLink(link, file);
    const bench = new RawBench({}, 1514, wrap);
    const other = bench.plug('raw1');
    const OTHER = '52:54:00:00:00:02';
    other.sends(arp(1, '10.0.2.16', '10.0.2.2', { from: OTHER }));
    bench.sends(tcp({ flags: 16 }), ethernet(Buffer.alloc(46), { to: OTHER }), FRAMES.icmpEcho);
    await file.close();
    return path;
  }

  testWith(
    'tshark',
    'tshark: names, directions, comments; a frame between guests is there twice',
    async () => {
      const path = await conversation();
      const fields = ['frame.interface_name', 'frame.packet_flags_direction', 'frame.comment', 'frame.len'];
      expect(tsharkFields(path, fields)).toEqual([
        // Flooded to the other guest before the gateway answers it.
        ['raw1', '0x00000001', '', '42'],
        ['raw0', '0x00000002', '', '60'],
        ['raw1', '0x00000002', '', '60'],
        ['raw0', '0x00000001', 'dropped: TcpNoFlow', '54'],
        ['raw0', '0x00000002', '', '60'],
        ['raw0', '0x00000001', '', '60'],
        ['raw1', '0x00000002', '', '60'],
        ['raw0', '0x00000001', 'dropped: IcmpByDesign', '98'],
      ]);
    },
  );

  testWith('tshark', 'tshark: times in nanoseconds, lengths of what was cut', async () => {
    const { file, path, story } = open({ precision: 'nano', snapLen: 50 });
    for (let i = 0; i < 100; i++) story.fromGuest('a', 14 + 7 * i, Drop.IcmpByDesign);
    await file.close();
    const rows = tsharkFields(path, ['frame.time_epoch', 'frame.len', 'frame.cap_len', 'frame.comment']);
    expect(rows).toEqual(
      story.told.map(({ bytes, wallMs }) => [
        `${Math.floor(wallMs / 1000)}.${String((wallMs % 1000) * 1e6).padStart(9, '0')}`,
        `${bytes.length}`,
        `${Math.min(bytes.length, 50)}`,
        'dropped: IcmpByDesign',
      ]),
    );
  });

  testWith('tcpdump', 'tcpdump: without a complaint, interfaces that come later included', async () => {
    const path = await conversation();
    const lines = outputOf('tcpdump', ['-r', path, '-n', '-e']).trim().split('\n');
    expect(lines).toHaveLength(8);
    expect(lines[3]).toMatch(/10\.0\.2\.15\.\d+ > 10\.0\.2\.2\.80: Flags \[\.\]/);
  });

  testWith('capinfos', 'capinfos: who wrote it, and statistics of each link', async () => {
    const path = await conversation({ application: 'usernet 9.9' });
    const text = outputOf('capinfos', [path]);
    expect(text).toMatch(/Capture application: +usernet 9\.9/);
    expect(text).toMatch(/Number of interfaces in file: 2/);
    expect(text.match(/Number of stat entries = 1/g)).toHaveLength(2);
  });
});

test('a file is for its owner alone', async () => {
  const { file, path } = open();
  await file.close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
