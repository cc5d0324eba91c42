// usernet replay: a recorded guest against our network, and what that says otherwise than the recorded one.

import { parseMac } from '../base/addr.ts';
import { ConfigError, type NetworkConfig } from '../network/config.ts';
import { captureName, readCaptureFile } from '../node/capture-input.ts';
import { LINK_TYPE_ETHERNET } from '../pcap/format.ts';
import { type KeptFrame, NO_COMMENTS } from '../pcap/frames.ts';
import { keepFrame } from '../pcap/reader.ts';
import {
  type Difference,
  type ReplayOptions,
  type ReplayResult,
  replay as replayCapture,
} from '../replay/replay.ts';
import { type Args, type Command, UsageError } from './args.ts';
import { checkCaptures, openCaptures } from './capture-file.ts';
import { NET_OPTION, netOption } from './options.ts';
import { print, say } from './output.ts';

const SAME = 0;
const DIFFERS = 1;
const FAILED = 2;
const NO_GUEST = 'has no frame of a guest, nothing was replayed';

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
      many: true,
      help:
        'Write the frames of the replay to OUT, which only its owner may read. The same capture, network and seed give the ' +
        'same file. Takes the options that usernet run has for it, such as OUT,filter=arp; links are called by the ' +
        'MACs of their guests.',
    },
    { name: 'json', help: 'Print the result as one line of JSON.' },
  ],
  notes: [
    'Addresses, acknowledgments, windows and timestamps of the recorded guest are aligned to what this network answers; ' +
      'the host side says what the capture shows it saying. No socket is opened, and no time passes.',
    'Exit status: 0 when the network meant the same, 1 where it differed in something that matters, 2 for a capture that ' +
      'cannot be read, or not to its end (what could be read is replayed), or in which no guest is, and when OUT cannot ' +
      'be written.',
  ],
  run,
};

async function run(args: Args): Promise<number> {
  const [path, ...more] = args.rest;
  if (path === undefined) throw new UsageError('replay: needs a capture, FILE');
  if (more.length > 0) throw new UsageError(`replay: takes one capture, ${more[0]} is another`);
  const config: NetworkConfig = args.has('net') ? netOption(args).config : {};
  const options = { seed: seedOf(args), guests: guestsOf(args), makeView: Buffer.from };
  checkCaptures(args.all('pcap'), path);
  const loaded = await load(path);
  let { problem } = loaded;
  const captures = openCaptures(args.all('pcap'));
  let result: ReplayResult;
  try {
    result = await replayed(path, loaded.frames, config, { ...options, wrap: captures.wrap });
    if (result.guests.length === 0) problem ??= NO_GUEST;
    const json = args.has('json');
    print(json ? jsonOf(path, result, problem) : textOf(path, loaded.frames.length, result));
  } finally {
    await captures.close();
    if (problem !== null) say(`${captureName(path)}: ${problem}`);
  }
  if (problem !== null || captures.files.some(({ lost }) => lost > 0)) return FAILED;
  return result.matters ? DIFFERS : SAME;
}

/** Rejects with a UsageError when a guest that was named is not in the capture. */
async function replayed(
  path: string,
  frames: readonly KeptFrame[],
  config: NetworkConfig,
  options: ReplayOptions,
): Promise<ReplayResult> {
  try {
    return await replayCapture(frames, config, options);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.path !== 'guests') throw error;
    throw new UsageError(`--guest: ${captureName(path)}${error.message.slice(error.path.length)}`);
  }
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
      // Nobody reads them here, and one frame may have a mebibyte of them.
      frames.push({ ...keepFrame(frame), comments: NO_COMMENTS });
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
