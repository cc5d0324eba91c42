// --pcap: captures, each of the links and frames that it asks for.

import { resolve } from 'node:path';
import { captureLink } from '../link/capture.ts';
import type { Link } from '../link/link.ts';
import { ConfigError } from '../network/config.ts';
import { checkPlace, isSameFile, reasonOf, ringPaths } from '../node/capture-place.ts';
import { PcapFile, type PcapFileOptions } from '../node/pcap-file.ts';
import { type PcapSpec, parsePcapSpec } from '../node/pcap-spec.ts';
import { say, version } from './output.ts';

const OPTION = '--pcap';

export interface Captures {
  readonly files: readonly PcapFile[];
  /** The link to attach instead of `link`. */
  wrap(link: Link): Link;
  /** Resolves when all of it is in the files. */
  close(): Promise<void>;
}

/**
 * A capture for each of `texts`, what stands behind --pcap; `defaults` hold for what they do not say. Throws a
 * ConfigError when one makes no sense, before any file is touched, or when one cannot be written.
 */
export function openCaptures(texts: readonly string[], defaults: PcapFileOptions = {}): Captures {
  const files = specsOf(texts, defaults).map(({ path, options }) => new PcapFile(path, options));
  // Also when the program ends in a hurry.
  process.once('exit', () => {
    for (const file of files) file.flushSync();
  });
  return {
    files,
    wrap: (link) => files.reduce(captureLink, link),
    close: async () => {
      const open = files.filter((file) => !file.closed);
      await Promise.all(open.map((file) => file.close()));
      open.forEach(tellMissing);
    },
  };
}

/**
 * For a program that reads the capture at `source` first: opens nothing, but throws the ConfigError that openCaptures()
 * would throw, as far as it can be foreseen, and one where `source` would be overwritten.
 */
export function checkCaptures(texts: readonly string[], source: string): void {
  for (const path of pathsOf(specsOf(texts, {}))) {
    try {
      checkPlace(path);
    } catch (error) {
      throw new ConfigError(OPTION, `${path}: ${reasonOf(error)}`);
    }
    if (isSameFile(path, source)) throw new ConfigError(OPTION, `${path}: is the capture that is replayed`);
  }
}

function specsOf(texts: readonly string[], defaults: PcapFileOptions): readonly PcapSpec[] {
  const common = { ...defaults, application: `usernet ${version}`, onError: say, onFull: say };
  const specs = texts.map((text) => parsePcapSpec(text, OPTION, common));
  refuseTwice(specs);
  return specs;
}

/** Every file that is written, those of rings included. */
function pathsOf(specs: readonly PcapSpec[]): string[] {
  return specs.flatMap(({ path, options }) => ringPaths(path, options.files ?? 1));
}

/** A name that was mistyped shows in nothing but a file without frames. */
function tellMissing({ path, linksMissing }: PcapFile): void {
  if (linksMissing.length > 0) say(`${OPTION}: ${path}: no link was called ${linksMissing.join(' or ')}`);
}

/** Two captures in one file would be none. */
function refuseTwice(specs: readonly PcapSpec[]): void {
  const taken = new Set<string>();
  for (const path of pathsOf(specs)) {
    if (taken.has(resolve(path))) throw new ConfigError(OPTION, `${path}: is written to twice`);
    taken.add(resolve(path));
  }
}
