import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { expect } from 'vitest';
import { parseFilter } from '../../src/pcap/filter.ts';
import { hasShared, OWN, SHARED } from '../support/captures.ts';
import { FRAMES } from '../support/frames.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { testWith } from '../support/tools.ts';
import { expression } from './filter-expressions.ts';
import { randomSample } from './filter-frames.ts';
import { framesUnder, Judge, type Sample } from './filter-judge.ts';
import { aboutFrames, USUAL, USUAL_NAMES } from './filter-usual.ts';

const SEED = 4;
const GENERATED = 100;

/** tcpdump looks names up there. */
const hasNames = existsSync('/etc/services') && existsSync('/etc/protocols');
if (!hasNames)
  process.stderr.write('\nSKIPPED: filters with names of ports and protocols: no /etc/services\n');

/** What tcpdump says of each frame. */
function theirs(judge: Judge, text: string, ...options: string[]): boolean[] {
  const verdicts = judge.verdicts(text, ...options);
  if (typeof verdicts === 'string') expect.fail(`tcpdump refuses ${text}: ${verdicts}`);
  return verdicts;
}

function ours(judge: Judge, text: string): boolean[] {
  return judge.ours(parseFilter(text));
}

function describeFrame(judge: Judge, text: string, index: number): string {
  const { bytes, wireLen } = judge.samples[index]!;
  const start = Buffer.from(bytes.subarray(0, 80)).toString('hex');
  return `${text}: another verdict on ${bytes.length} bytes of ${wireLen}: ${start}`;
}

/** The frames about which two verdicts differ. */
function differing(a: readonly boolean[], b: readonly boolean[]): number[] {
  return a.flatMap((verdict, i) => (verdict === b[i] ? [] : [i]));
}

/** Every frame at hand. */
function captured(): Sample[] {
  const frames = Object.values(FRAMES).map((bytes) => ({ bytes, wireLen: bytes.length }));
  return [...frames, ...framesUnder(OWN), ...framesUnder(SHARED)];
}

testWith(
  'tcpdump',
  'every frame of every capture at hand, by some 180 expressions as people write them',
  () => {
    using judge = new Judge(captured());
    const texts = ['', ...USUAL, ...(hasNames ? USUAL_NAMES : [])];
    let found = 0;
    for (const text of texts) {
      const verdicts = ours(judge, text);
      const wrong = differing(verdicts, theirs(judge, text));
      expect(wrong.map((i) => describeFrame(judge, text, i))).toEqual([]);
      if (verdicts.includes(true)) found++;
    }
    // Most expressions are about something, or the above would show little.
    expect(texts.length).toBeGreaterThan(150);
    expect(found).toBeGreaterThan(texts.length * (hasShared ? 0.75 : 0.4));
  },
);

// tcpdump's optimizer drops and reorders questions where an expression asks for more than it needs, as `host ff02::1 or ip6`
// does. Then it answers about frames that are cut before a byte that was asked for, where `tcpdump -O` and we say no.
testWith('tcpdump', 'every frame of every capture at hand, by what is true of some of them', () => {
  using judge = new Judge(captured());
  const texts = aboutFrames(judge.samples, GENERATED, new SeededRandom(SEED));
  let optimized = 0;
  for (const text of texts) {
    const verdicts = ours(judge, text);
    const wrong = differing(verdicts, theirs(judge, text));
    if (wrong.length === 0) continue;
    optimized += wrong.length;
    const plain = theirs(judge, text, '-O');
    const both = wrong.filter((i) => verdicts[i] !== plain[i]);
    expect(both.map((i) => describeFrame(judge, text, i))).toEqual([]);
  }
  expect(optimized).toBeLessThanOrEqual((texts.length * judge.samples.length) / 10_000);
});

// Random expressions contradict and repeat themselves: the optimizer would have much to do.
testWith(
  'tcpdump',
  'random expressions of the whole language over 1500 random frames, many of them broken or cut',
  () => {
    const random = new SeededRandom(SEED);
    using judge = new Judge(Array.from({ length: 1500 }, () => randomSample(random)));
    const mayBeJudged = (text: string): boolean =>
      hasNames || !/\\|http|domain|ssh|bootp|tftp|ntp|mdns/.test(text);
    const texts = fc.sample(expression, { seed: SEED, numRuns: 250 }).filter(mayBeJudged);
    let matches = 0;
    for (const text of texts) {
      const verdicts = ours(judge, text);
      let wrong = differing(verdicts, theirs(judge, text, '-O'));
      // An empty mask asks for nothing, of tcpdump only where it optimizes (filter-questions.ts).
      if (wrong.length > 0 && /\/|mask/.test(text)) {
        const optimized = theirs(judge, text);
        wrong = wrong.filter((i) => verdicts[i] !== optimized[i]);
      }
      expect(wrong.map((i) => describeFrame(judge, text, i))).toEqual([]);
      matches += verdicts.filter(Boolean).length;
    }
    const share = matches / (texts.length * judge.samples.length);
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.9);
  },
);
