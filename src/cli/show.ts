// `usernet show`: what is in a capture, a line for each frame.

import { captureName, readCaptureFile } from '../node/capture-input.ts';
import { type FrameFilter, parseFilter } from '../pcap/filter.ts';
import { LINK_TYPE_ETHERNET } from '../pcap/format.ts';
import type { CaptureDamage, CaptureFrame } from '../pcap/frames.ts';
import type { Args, Command, OptionSpec } from './args.ts';
import { UsageError } from './args.ts';
import { messageOf } from './errors.ts';
import { FrameText, frameJson } from './frame-text.ts';
import { say } from './output.ts';

const DAMAGED = 2;
/** Bytes that are read and shown at a time. A frame of 16 bytes may be a line of 1600 characters. */
const PIECE_LEN = 1 << 16;

const JSON_OPTION: OptionSpec = {
  name: 'json',
  help:
    'One JSON object a line: number, time (nanoseconds since 1970, as a string), capturedLength, originalLength, link, ' +
    'linkType, layers (each header with its fields, named as in its RFC) and comments.',
};

const FILTER_OPTION: OptionSpec = {
  name: 'filter',
  value: 'TEXT',
  help: "Only frames that match TEXT, in tcpdump's words: 'arp or (host 10.0.2.15 and not tcp port 22)'.",
};

export const show: Command = {
  name: 'show',
  summary: 'what is in a capture, a line for each frame',
  usage: ['show [--json] [--filter TEXT] FILE'],
  options: [JSON_OPTION, FILTER_OPTION],
  rest: 'FILE',
  mixed: true,
  notes: [
    'FILE is a capture, classic or pcapng, or - for standard input. A line has the time (UTC), the interface in brackets if ' +
      'it has a name, what the frame is, and comments behind #.',
    'A capture that is damaged is shown up to there, then one line says at which byte and why, and the exit status is 2.',
  ],
  run: runShow,
};

/** Takes text, and resolves to whether anybody still reads. */
export type TextSink = (text: string) => Promise<boolean>;

export interface ShowOptions {
  readonly json: boolean;
  /** null for every frame. */
  readonly filter: FrameFilter | null;
}

export interface Shown {
  readonly damage: CaptureDamage | null;
  /** Frames that a filter could not judge, and that were left out: they are not Ethernet. */
  readonly notJudged: number;
}

async function runShow(args: Args): Promise<number> {
  const path = onlyFile(args.rest);
  const options = { json: args.has('json'), filter: filterOption(args) };
  const { damage, notJudged } = await showCapture(path, options, toStandardOutput);
  if (notJudged > 0) say(`--filter: left out ${notJudged} frames that are not Ethernet`);
  if (damage === null) return 0;
  say(`${captureName(path)}: byte ${damage.offset}: ${damage.reason}`);
  return DAMAGED;
}

function onlyFile([path, ...more]: readonly string[]): string {
  if (path === undefined) throw new UsageError('show: needs a FILE; see usernet show --help');
  const [next] = more;
  if (next === undefined) return path;
  throw new UsageError(`${next}: show takes one FILE`);
}

function filterOption(args: Args): FrameFilter | null {
  const text = args.one('filter');
  if (text === null) return null;
  try {
    return parseFilter(text);
  } catch (error) {
    throw new UsageError(`--filter: ${messageOf(error)}`);
  }
}

/**
 * Writes the lines for the capture at `path` to `out`, as long as somebody reads there. Rejects with a ConfigError when there
 * is nothing to read at `path`.
 */
export async function showCapture(path: string, options: ShowOptions, out: TextSink): Promise<Shown> {
  const { json, filter } = options;
  const text = new FrameText();
  // Of one piece of the file: written with one call.
  let lines: string[] = [];
  let notJudged = 0;
  const onFrame = (frame: CaptureFrame): void => {
    if (filter !== null) {
      if (frame.source.linkType !== LINK_TYPE_ETHERNET) {
        notJudged++;
        return;
      }
      if (!filter.matches(frame.memory, frame.off, frame.len, frame.wireLen)) return;
    }
    lines.push(json ? frameJson(frame) : text.line(frame));
  };
  const write = async (): Promise<boolean> => {
    if (lines.length === 0) return true;
    lines.push('');
    const piece = lines.join('\n');
    lines = [];
    return out(piece);
  };
  const damage = await readCaptureFile(path, onFrame, { goOn: write, pieceLen: PIECE_LEN });
  // What came in the piece with the damage.
  await write();
  return { damage, notJudged };
}

/** Why nobody takes it any more, watchOutput() tells where it is a fault. */
function toStandardOutput(text: string): Promise<boolean> {
  return new Promise((resolve) => {
    process.stdout.write(text, (error) => resolve(error === null || error === undefined));
  });
}
