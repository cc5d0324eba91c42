// usernet replay: a recorded guest against our network, and what that says otherwise than the recorded one.

import { closeSync, writeFileSync } from 'node:fs';
import { parseMac } from '../base/addr.ts';
import { ConfigError, type NetworkConfig } from '../network/config.ts';
import { captureName, readCaptureFile } from '../node/capture-input.ts';
import { openCaptureFile, reasonOf } from '../node/capture-place.ts';
import { LINK_TYPE_ETHERNET } from '../pcap/format.ts';
import type { KeptFrame } from '../pcap/frames.ts';
import { keepFrame } from '../pcap/reader.ts';
import { type Difference, type ReplayResult, replay as replayCapture } from '../replay/replay.ts';
import { type Args, type Command, UsageError } from './args.ts';
import { NET_OPTION, netOption } from './options.ts';
import { print, say } from './output.ts';

const SAME = 0;
const DIFFERS = 1;
const UNREADABLE = 2;

/** A replay has the whole capture in memory, taken apart, and another one that it makes: some 4 KB for each frame. */
const MOST = { bytes: 1 << 28, frames: 1 << 19 };
const MAX_SEED = 2 ** 32 - 1;
/** How many of the conversations with one difference are named. */
const MAX_SUBJECTS = 3;

export const replay: Command = {
  name: 'replay',
  summary: 'let the guest of a capture meet this network',
  usage: ['replay [OPTION...] FILE', 'replay [OPTION...] -    (standard input)'],
  rest: 'FILE',
  mixed: true,
  options: [
    {
      ...NET_OPTION,
      help: `${NET_OPTION.help} Without it the network is as the capture shows the recorded one to be.`,
    },
    { name: 'seed', value: 'N', help: 'Of everything random in the network, 0 to 4294967295; 1 without it.' },
    {
      name: 'guest',
      value: 'MAC',
      many: true,
      help: 'Who is a guest, where the capture does not show it well enough.',
    },
    {
      name: 'pcap',
      value: 'OUT',
      help: 'Write all frames of the replay to OUT, which only its owner may read. The same capture, network and seed give the same file.',
    },
    { name: 'json', help: 'Print the result as one line of JSON.' },
  ],
  notes: [
    'Addresses, acknowledgments, windows and timestamps of the recorded guest are aligned to what this network answers; ' +
      'the host side says what the capture shows it saying. No socket is opened, and no time passes.',
    'Exit status: 0 when the network meant the same, 1 where it differed in something that matters, 2 for a capture that ' +
      'cannot be read, or not to its end; what could be read is replayed.',
  ],
  run,
};

async function run(args: Args): Promise<number> {
  const [path, ...more] = args.rest;
  if (path === undefined) throw new UsageError('replay: needs a capture, FILE');
  if (more.length > 0) throw new UsageError(`replay: takes one capture, ${more[0]} is another`);
  const config: NetworkConfig = args.has('net') ? netOption(args).config : {};
  const options = { seed: seedOf(args), guests: guestsOf(args), makeView: Buffer.from };
  const { frames, problem } = await load(path);
  const result = await replayCapture(frames, config, options);
  const out = args.one('pcap');
  if (out !== null) write(out, result.capture);
  print(args.has('json') ? jsonOf(path, result, problem) : textOf(path, frames.length, result));
  if (problem !== null) {
    say(`${captureName(path)}: ${problem}`);
    return UNREADABLE;
  }
  return result.matters ? DIFFERS : SAME;
}

function seedOf(args: Args): number {
  const text = args.one('seed') ?? '1';
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed > MAX_SEED)
    throw new UsageError(`--seed: ${JSON.stringify(text)} is not a number from 0 to ${MAX_SEED}`);
  return seed;
}

function guestsOf(args: Args): string[] {
  return args.all('guest').map((text) => {
    if (parseMac(text) === null)
      throw new UsageError(`--guest: ${JSON.stringify(text)} is not a MAC address`);
    return text.toLowerCase().replaceAll('-', ':');
  });
}

interface Loaded {
  readonly frames: readonly KeptFrame[];
  /** Why not all of it was read, or what is wrong with it. */
  readonly problem: string | null;
}

/** Exported for tests. */
export async function load(path: string, most = MOST): Promise<Loaded> {
  const frames: KeptFrame[] = [];
  let bytes = 0;
  let isTooMuch = false;
  const damage = await readCaptureFile(
    path,
    (frame) => {
      isTooMuch ||= bytes + frame.len > most.bytes || frames.length === most.frames;
      if (isTooMuch) return;
      bytes += frame.len;
      frames.push(keepFrame(frame));
    },
    { goOn: () => !isTooMuch },
  );
  if (isTooMuch)
    return {
      frames,
      problem: `more than a replay takes, only the first ${frames.length} frames were replayed`,
    };
  if (damage !== null) return { frames, problem: `damaged at byte ${damage.offset}: ${damage.reason}` };
  const foreign = frames.find((one) => one.source.linkType !== LINK_TYPE_ETHERNET);
  if (foreign !== undefined && frames.every((one) => one.source.linkType !== LINK_TYPE_ETHERNET))
    return { frames, problem: `has link type ${foreign.source.linkType}, not Ethernet` };
  return { frames, problem: null };
}

function write(path: string, capture: Uint8Array): void {
  try {
    const fd = openCaptureFile(path);
    writeFileSync(fd, capture);
    closeSync(fd);
  } catch (error) {
    throw new ConfigError('--pcap', `${path}: ${reasonOf(error)}`);
  }
}

function jsonOf(path: string, result: ReplayResult, problem: string | null): string {
  const { differences, matters, facts, frames, guests, notes, stats } = result;
  return `${JSON.stringify({ capture: path, problem, guests, frames, facts, matters, differences, notes, stats })}\n`;
}

function textOf(path: string, frames: number, result: ReplayResult): string {
  const { guests, notes, differences, facts } = result;
  const lines = [
    `capture   ${captureName(path)}: ${frames} frames, ${guests.length === 0 ? 'no guest' : `guest ${guests.join(', ')}`}`,
    `replayed  ${result.frames} frames of guests and network, ${facts} answers compared`,
    ...notes.map((note) => `note      ${note}`),
    ...differences.map(lineOf),
  ];
  const count = differences.filter((one) => one.matters).length;
  const other = differences.length - count;
  const rest = other === 0 ? '' : `, ${other} that ${other === 1 ? 'does' : 'do'} not matter`;
  lines.push(`result    ${count === 0 ? 'no difference that matters' : `${count} that matter`}${rest}`);
  return `${lines.join('\n')}\n`;
}

function lineOf({ field, theirs, ours, matters, why, subjects }: Difference): string {
  const named = subjects.slice(0, MAX_SUBJECTS).join(', ');
  const more = subjects.length > MAX_SUBJECTS ? ` and ${subjects.length - MAX_SUBJECTS} more` : '';
  const reason = matters ? '' : ` (${why})`;
  return `${matters ? 'DIFFERS ' : 'differs '}  ${field}: theirs ${theirs}, ours ${ours}${reason}: ${named}${more}`;
}
