// --pcap: one file for every frame of every link.

import { captureLink } from '../link/capture.ts';
import type { Link } from '../link/link.ts';
import { PcapFile } from '../node/pcap-file.ts';
import { say } from './output.ts';

export interface CaptureFile {
  /** The link to attach instead of `link`. */
  wrap(link: Link): Link;
  /** Resolves when all of it is in the file. */
  close(): Promise<void>;
}

/** The file at `path`, or nothing to write for null. Throws a ConfigError when it cannot be written. */
export function openCapture(path: string | null): CaptureFile {
  if (path === null) return { wrap: (link) => link, close: () => Promise.resolve() };
  const file = new PcapFile(path, { onError: say });
  // Also when the program ends in a hurry.
  process.once('exit', () => file.flushSync());
  return { wrap: (link) => captureLink(link, file), close: () => file.close() };
}
