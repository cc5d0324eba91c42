// --pcap: captures, each of the links and frames that it asks for.

import { resolve } from 'node:path';
import { captureLink } from '../link/capture.ts';
import type { Link } from '../link/link.ts';
import { ConfigError } from '../network/config.ts';
import { ringPaths } from '../node/capture-place.ts';
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
  const common = { ...defaults, application: `usernet ${version}`, onError: say, onFull: say };
  const specs = texts.map((text) => parsePcapSpec(text, OPTION, common));
  refuseTwice(specs);
  const files = specs.map(({ path, options }) => new PcapFile(path, options));
  // Also when the program ends in a hurry.
  process.once('exit', () => {
    for (const file of files) file.flushSync();
  });
  return {
    files,
    wrap: (link) => files.reduce(captureLink, link),
    close: async () => {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

/** Two captures in one file would be none. */
function refuseTwice(specs: readonly PcapSpec[]): void {
  const taken = new Set<string>();
  for (const path of specs.flatMap(({ path, options }) => ringPaths(path, options.files ?? 1))) {
    if (taken.has(resolve(path))) throw new ConfigError(OPTION, `${path}: is written to twice`);
    taken.add(resolve(path));
  }
}
