import * as fs from 'node:fs';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { openCaptures } from '../../src/cli/capture-file.ts';
import { readShown, tempFolder } from '../support/capture-story.ts';
import { arp, echo, ethernet } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

const folder = tempFolder('captures');
afterAll(() => folder.remove());

const OTHER = '52:54:00:00:00:02';
const commentsIn = (file: string): string[] => readShown(folder.path(file)).map(({ comments }) => comments);
const linksIn = (file: string): string[] =>
  readShown(folder.path(file)).map(({ frame }) => frame.split(' ')[0]!);

/** What is said on standard error meanwhile. */
async function saidBy(work: () => Promise<void>): Promise<string> {
  let said = '';
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  await work().finally(() => spy.mockRestore());
  return said;
}

test('several captures at once, each of its own links and frames', async () => {
  const captures = openCaptures([
    folder.path('all.pcapng'),
    folder.path('icmp.pcapng,filter=icmp'),
    folder.path('raw1.pcapng,link=raw1'),
    folder.path('none.pcap,link=raw7'),
    folder.path('first.pcap,size=1k'),
  ]);
  const bench = new RawBench({}, 1514, captures.wrap);
  const other = bench.plug('raw1');
  other.sends(arp(1, '10.0.2.16', '10.0.2.2', { from: OTHER }));
  bench.sends(ethernet(Buffer.alloc(46), { to: OTHER }), echo());
  const said = await saidBy(() => captures.close());
  expect(said).toBe(`usernet: --pcap: ${folder.path('none.pcap')}: no link was called raw7\n`);
  // The question for the gateway, flooded and answered; the frame between the two; the ping.
  expect(linksIn('all.pcapng')).toEqual(['raw1', 'raw0', 'raw1', 'raw0', 'raw1', 'raw0']);
  expect(commentsIn('all.pcapng').at(-1)).toBe('dropped: IcmpByDesign');
  expect(commentsIn('icmp.pcapng')).toEqual(['dropped: IcmpByDesign']);
  expect(linksIn('raw1.pcapng')).toEqual(['raw1', 'raw1', 'raw1']);
  expect(readShown(folder.path('first.pcap'))).toHaveLength(6);
  expect(readShown(folder.path('none.pcap'))).toEqual([]);
  expect(captures.files.map(({ frames }) => frames)).toEqual([6, 1, 3, 0, 6]);
});

test('links that never came are named, once', async () => {
  const path = folder.path('two.pcap');
  const captures = openCaptures([`${path},link=raw8,link=raw0,link=raw9`]);
  new RawBench({}, 1514, captures.wrap).sends(echo());
  const said = await saidBy(async () => {
    await captures.close();
    await captures.close();
  });
  expect(said).toBe(`usernet: --pcap: ${path}: no link was called raw8 or raw9\n`);
  expect(readShown(path)).toHaveLength(1);
});

test('without any a link is left as it is', async () => {
  const captures = openCaptures([]);
  const { link } = new RawBench();
  expect(captures.wrap(link)).toBe(link);
  await captures.close();
});

describe('refused before any file is touched', () => {
  const fault = (...texts: string[]): string => {
    try {
      openCaptures(texts);
    } catch (error) {
      return (error as Error).message;
    }
    return 'taken';
  };

  test('when a later one makes no sense', () => {
    const path = folder.path('old.pcap');
    fs.writeFileSync(path, 'as it was');
    expect(fault(path, 'x,size=3')).toMatch(/^--pcap: size: 3 is not /);
    expect(fs.readFileSync(path, 'utf8')).toBe('as it was');
  });

  test('when two would write to one file, those of rings included', () => {
    const path = folder.path('twice.pcap');
    expect(fault(path, folder.path('./twice.pcap'))).toMatch(/^--pcap: .*twice\.pcap: is written to twice$/);
    expect(fault(`${path},size=1M,files=3`, folder.path('twice.2.pcap'))).toMatch(
      /^--pcap: .*twice\.2\.pcap: is written to twice$/,
    );
    expect(fs.existsSync(path)).toBe(false);
  });
});
