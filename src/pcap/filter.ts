// Filters by tcpdump's words, pcap-filter(7), for Ethernet frames: filter-tokens.ts cuts the text into words,
// filter-parser.ts knows the grammar, filter-ids.ts and filter-spelling.ts addresses and numbers, filter-questions.ts what
// a word asks of a frame, and filter-program.ts answers. The verdict on a frame is that of `tcpdump -r FILE EXPRESSION`
// (test/pcap/filter-tcpdump.test.ts).

import type { Memory } from '../base/memory.ts';
import { parse } from './filter-parser.ts';
import { Program } from './filter-program.ts';

export { FilterError } from './filter-tokens.ts';

/** Says which Ethernet frames are wanted. Without state. */
export interface FrameFilter {
  /** As it was written. */
  readonly text: string;
  /**
   * Is the frame wanted whose captured bytes, tags included and without FCS, are [off, off+len) of `memory` and which
   * was `wireLen` bytes long on the wire? Any bytes will do: never throws.
   */
  matches(memory: Memory, off: number, len: number, wireLen: number): boolean;
}

/**
 * The filter that `text` describes: at most 8192 characters, groups at most 64 deep; without a word it matches every
 * frame. Throws a FilterError: one line that shows the word at fault and says what was expected.
 */
export function parseFilter(text: string): FrameFilter {
  const program = new Program(parse(text));
  return {
    text,
    matches: (memory, off, len, wireLen) => program.matches(memory, off, len, wireLen),
  };
}
