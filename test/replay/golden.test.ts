// Every capture of ours, replayed: what our network answers, frame by frame, is kept beside this file. A change in what a
// guest sees shows here first. `npx vitest run test/replay/golden.test.ts -u` writes the files anew.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { type ReplayResult, replay } from '../../src/replay/replay.ts';
import { describeFrame } from '../../src/wire/describe.ts';
import { capturesIn, framesOf, OWN } from '../support/captures.ts';

/** A line for each frame, with the milliseconds since the first, and what is said otherwise than recorded. */
function goldenText({ capture, differences, notes }: ReplayResult): string {
  const { frames } = readCapture(capture);
  const start = frames[0];
  const lines = frames.map(({ seconds, nanoseconds, bytes }) => {
    const micros = (seconds - (start?.seconds ?? 0)) * 1e6 + (nanoseconds - (start?.nanoseconds ?? 0)) / 1000;
    return `${(micros / 1000).toFixed(3)} ${describeFrame(memoryOver(bytes), 0, bytes.length)}`;
  });
  const said = differences.map(
    (one) => `# ${one.field}: theirs ${one.theirs}, ours ${one.ours}, ${one.subjects.join(', ')}`,
  );
  return `${[...notes.map((note) => `# ${note}`), ...said, ...lines].join('\n')}\n`;
}

const captures = capturesIn(OWN);

test('there are captures to replay', () => {
  expect(captures.length).toBeGreaterThan(30);
});

describe.each(captures)('%s', (name) => {
  const frames = framesOf(join(OWN, name));

  test('our answers are the known ones, and mean what was recorded', async () => {
    const result = await replay(frames);
    await expect(goldenText(result)).toMatchFileSnapshot(join(import.meta.dirname, 'golden', `${name}.txt`));
    const { differences, facts, stats } = result;
    // Recorded with us, nothing differs; with another, nothing that matters.
    const wanted = name.includes('-usernet') ? differences : differences.filter((one) => one.matters);
    expect(wanted).toEqual([]);
    expect(facts).toBeGreaterThan(0);
    expect(stats.losses).toEqual({});
    const drops = Object.values(stats.drops).reduce((sum, n) => sum + n, 0);
    expect(stats.accepted + drops).toBe(stats.links.reduce((sum, link) => sum + link.framesIn, 0));
  });

  test('in another subnet they mean the same', async () => {
    const { differences } = await replay(frames, { subnet: '192.168.77.0/24', gateway: '192.168.77.254' });
    expect(differences.filter((one) => one.matters)).toEqual([]);
  });
});
