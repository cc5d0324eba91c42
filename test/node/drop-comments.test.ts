// Every reason why a frame from a guest stops is seen in a capture, as a comment of the frame that was dropped and of no
// other: the stories of test/drops.test.ts once more, recorded.

import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { captureLink } from '../../src/link/capture.ts';
import { PcapFile } from '../../src/node/pcap-file.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { tempFolder, tsharkFields } from '../support/capture-story.ts';
import { drops, type Provocation } from '../support/provocations.ts';
import { RawBench } from '../support/raw-guest.ts';
import { testWith } from '../support/tools.ts';

const folder = tempFolder('drops');
afterAll(() => folder.remove());

/** A capture of the story, and how many frames were in it before its last one. */
async function record(name: string, { config = {}, maxFrame = 1514, story }: Provocation) {
  const path = folder.path(`${name}.pcapng`);
  const file = new PcapFile(path);
  const bench = new RawBench(config, maxFrame, (link) => captureLink(link, file));
  const last = await story(bench);
  const before = file.frames;
  last();
  await file.close();
  return { path, before, bench };
}

test.each(Object.entries(drops))('%s', async (name, provocation) => {
  const { path, before, bench } = await record(name, provocation);
  const { frames } = readCapture(readFileSync(path));
  const comments = frames.map((frame) => frame.comments.join());
  expect(comments[before]).toBe(`dropped: ${name}`);
  // As many comments as drops, of each reason.
  const counted: Record<string, number> = {};
  for (const comment of comments.filter((text) => text !== ''))
    counted[comment] = (counted[comment] ?? 0) + 1;
  const { drops: dropped } = bench.network.stats();
  expect(counted).toEqual(
    Object.fromEntries(Object.entries(dropped).map(([why, n]) => [`dropped: ${why}`, n])),
  );
});

testWith('tshark', 'tshark shows them, each on its frame', async () => {
  for (const name of ['TcpNoFlow', 'Ipv4BadChecksum'] as const) {
    const { path, before } = await record(`${name}-tshark`, drops[name]);
    const rows = tsharkFields(path, ['frame.comment', 'frame.interface_name']);
    expect(rows[before]).toEqual([`dropped: ${name}`, 'raw0']);
    expect(rows.filter(([comment]) => comment !== '')).toHaveLength(1);
  }
});
