// A frame of a capture as `usernet show` prints it: a line of text, or a line of JSON.

import { LINK_TYPE_ETHERNET } from '../pcap/format.ts';
import type { CaptureFrame } from '../pcap/frames.ts';
import { describeFrame } from '../wire/describe.ts';
import { layersOf } from '../wire/layers.ts';

/** Control characters, C1 and those that turn text round included: a capture must not steer the terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is for.
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
/** Seconds that a Date can say, either way. ECMA-262 21.4.1.1. */
const MAX_DATE_SECONDS = 8_640_000_000_000;

/** `text` with what is not to be printed as JSON would write it: `\u001b`. Inside of JSON it means the same as before. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * Frames as text: time, the interface where it has a name, what the frame is, comments behind `#`. Times are UTC with their
 * date, to the microsecond, so that a capture reads the same in every place: `2023-11-14 22:13:20.123456`.
 */
export class FrameText {
  /** The second that was written last: many frames share it. */
  private second = Number.NaN;
  private secondText = '';

  line(frame: CaptureFrame): string {
    const { source, comments } = frame;
    const link = source.name === null ? '' : `[${printable(source.name)}] `;
    const notes = comments.map((comment) => ` # ${printable(comment)}`).join('');
    return `${this.time(frame)} ${link}${whatItIs(frame)}${notes}`;
  }

  private time({ seconds, nanoseconds }: CaptureFrame): string {
    if (seconds !== this.second) {
      this.second = seconds;
      this.secondText = secondText(seconds);
    }
    return `${this.secondText}.${String(Math.floor(nanoseconds / 1000)).padStart(6, '0')}`;
  }
}

/** A number of seconds since 1970 where there is no date. */
function secondText(seconds: number): string {
  if (Math.abs(seconds) > MAX_DATE_SECONDS) return `@${seconds}`;
  return new Date(seconds * 1000).toISOString().slice(0, -'.000Z'.length).replace('T', ' ');
}

function whatItIs({ source, memory, off, len, wireLen }: CaptureFrame): string {
  if (source.linkType !== LINK_TYPE_ETHERNET) return `LINKTYPE ${source.linkType}, length ${wireLen}`;
  return describeFrame(memory, off, len, wireLen);
}

/**
 * The frame as one line of JSON. `time` is a string, nanoseconds since 1970: readers of JSON round a number of that size.
 * `link` is the interface's name, or its place among those of the file; `layers` is empty where it is not Ethernet.
 */
export function frameJson(frame: CaptureFrame): string {
  const { number, seconds, nanoseconds, memory, off, len, wireLen, source, comments } = frame;
  const text = JSON.stringify({
    number,
    time: String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)),
    capturedLength: len,
    originalLength: wireLen,
    link: source.name ?? source.index,
    linkType: source.linkType,
    layers: source.linkType === LINK_TYPE_ETHERNET ? layersOf(memory, off, len) : [],
    comments,
  });
  return printable(text);
}
