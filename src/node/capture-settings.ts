// What is captured, and into what: the options of a PcapFile, checked.

import { ConfigError } from '../network/config.ts';
import { FilterError, type FrameFilter, parseFilter } from '../pcap/filter.ts';
import { MAX_SNAP_LEN } from '../pcap/format.ts';
import type { CaptureWriter } from '../pcap/writer.ts';
import { PcapWriter } from '../pcap/writer.ts';
import { type PcapNgOptions, PcapNgWriter } from '../pcap/writer-ng.ts';

/** 'pcap' is the classic format, without link names, directions and comments. */
export type CaptureFormat = 'pcap' | 'pcapng';

/** `snapLen`, `precision` and `application` as the writers take them. Times are as fine as Clock.wallNow(): 244 ns in Node. */
export interface PcapFileOptions extends PcapNgOptions {
  /** By default what the path's ending says: 'pcapng' for `.pcapng`, otherwise 'pcap'. */
  readonly format?: CaptureFormat;
  /**
   * The most bytes of a file, 1024..2^40. A frame is never split, and each file takes at least one. When the next one
   * does not fit, recording ends (`onFull`), or with `files` goes on in the next file. Default: no limit.
   */
  readonly size?: number;
  /**
   * 2..1000, needs `size`: record into so many files in turn: the path itself, then with a number before its ending
   * (`session.1.pcap`), and the oldest again. Each is a capture of its own, and no frame is lost between two. Files of
   * these names that are left from before stay there until it is their turn.
   */
  readonly files?: number;
  /** Names of the links whose frames are wanted. Default: every link. */
  readonly links?: readonly string[];
  /** Which frames are wanted: tcpdump's words, or an object that decides. It sees frames whole. Default: every frame. */
  readonly filter?: string | FrameFilter;
  /** How the user asked for it, for messages. Default '--pcap'. */
  readonly option?: string;
  /** Called once, when a write failed. `message` is one line that names option and file. */
  readonly onError?: (message: string) => void;
  /** Called once, when `size` is reached and there are no `files`. `message` is one line that names option and file. */
  readonly onFull?: (message: string) => void;
}

export interface CaptureSettings {
  readonly option: string;
  readonly writer: CaptureWriter;
  readonly size: number;
  /** 0: one, and recording ends with it. */
  readonly files: number;
  readonly links: ReadonlySet<string> | null;
  readonly filter: FrameFilter | null;
}

const MIN_SIZE = 1024;
const MAX_SIZE = 2 ** 40;
const MAX_FILES = 1000;

/** Throws a ConfigError, one line that names the option and the setting. */
export function checkCapture(path: string, options: PcapFileOptions): CaptureSettings {
  const { option = '--pcap', format = formatOf(path), snapLen, size, files, links, filter } = options;
  const fail = (setting: string, reason: string): never => {
    throw new ConfigError(option, `${setting}: ${reason}`);
  };
  const check = (setting: string, value: number | undefined, min: number, max: number): void => {
    const isGood = value === undefined || (Number.isInteger(value) && value >= min && value <= max);
    if (!isGood) fail(setting, `${value} is not a whole number from ${min} to ${max}`);
  };
  if (path === '') throw new ConfigError(option, 'the path is missing');
  if (path.includes('\0')) throw new ConfigError(option, 'the path has a NUL in it');
  check('snaplen', snapLen, 1, MAX_SNAP_LEN);
  check('size', size, MIN_SIZE, MAX_SIZE);
  check('files', files, 2, MAX_FILES);
  if (files !== undefined && size === undefined) fail('files', 'needs size');
  if (links?.length === 0 || links?.includes('')) fail('link', 'the name is missing');
  return {
    option,
    writer: format === 'pcapng' ? new PcapNgWriter(options) : new PcapWriter(options),
    size: size ?? Number.POSITIVE_INFINITY,
    files: files ?? 0,
    links: links === undefined ? null : new Set(links),
    filter: filter === undefined ? null : filterOf(filter, (reason) => fail('filter', reason)),
  };
}

function formatOf(path: string): CaptureFormat {
  return /\.pcapng$/i.test(path) ? 'pcapng' : 'pcap';
}

function filterOf(filter: string | FrameFilter, fail: (reason: string) => never): FrameFilter {
  if (typeof filter !== 'string') return filter;
  try {
    return parseFilter(filter);
  } catch (error) {
    if (error instanceof FilterError) return fail(error.message);
    throw error;
  }
}
