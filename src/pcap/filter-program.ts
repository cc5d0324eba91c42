// What a filter becomes: a list of steps, each of them one question about one field of the frame, with the step to go on
// with after a yes and after a no. tcpdump's own programs (BPF) consist of the same questions in the same order, and
// that decides what becomes of a frame that was cut short: a question about bytes that were not captured ends the
// program, and the frame does not match. Not even where the question stands under a `not`. (tcpdump's optimizer leaves
// out what an expression need not ask: of `host ff02::1 or ip6` it asks for the type alone, and so has another verdict on
// a frame that ends within its addresses. Ours is that of `tcpdump -O`.)
//
// The steps are written from the last to the first, so that each leads to steps of lower numbers only: a program ends
// after at most as many steps as it has. Nothing is allocated and nothing can throw.

import type { Memory } from '../base/memory.ts';

/** A filter as it was written: `and`, `or` and `not` over questions. */
export type Node =
  | { readonly kind: 'and' | 'or'; readonly left: Node; readonly right: Node }
  | { readonly kind: 'not'; readonly of: Node }
  | { readonly kind: 'question'; readonly question: Question };

/** `set`: has the field any of the bits of the value? */
export type Relation = 'is' | 'above' | 'atLeast' | 'set';

/** `field & mask RELATION value`. */
export interface Question {
  /** Offset of the field from the frame's first byte. */
  readonly at: number;
  /** Its bytes, in network order; 0 is no field of the frame but the frame's length on the wire. */
  readonly size: 0 | 1 | 2 | 4;
  /** Offset of an IPv4 header whose length, whatever it claims, is to be added to `at`; -1 for none. */
  readonly behind: number;
  /** Signed; -1 is the whole field. */
  readonly mask: number;
  readonly relation: Relation;
  /** 32 bits, signed or not. */
  readonly value: number;
}

/** Where a program ends, in place of a step. */
const MATCH = -1;
const NO_MATCH = -2;

/** A step among the words of a program: where each part of it stands, and how many words it has. */
const AT = 0;
const SIZE = 1;
const BEHIND = 2;
const MASK = 3;
const RELATION = 4;
const VALUE = 5;
const YES = 6;
const NO = 7;
const STEP_LEN = 8;

const RELATIONS: readonly Relation[] = ['is', 'above', 'atLeast', 'set'];

export class Program {
  /** Numbers: four times as fast as an object for each step. */
  private readonly words: Int32Array;
  private readonly first: number;

  /** null matches every frame. */
  constructor(root: Node | null) {
    const words: number[] = [];
    this.first = root === null ? MATCH : write(words, root, MATCH, NO_MATCH);
    this.words = Int32Array.from(words);
  }

  /** The frame is [off, off+len) of `memory`, which must hold it, and was `wireLen` bytes long on the wire. */
  matches(memory: Memory, off: number, len: number, wireLen: number): boolean {
    const { view } = memory;
    const { words } = this;
    let step = this.first;
    while (step >= 0) {
      let at = words[step + AT]!;
      const behind = words[step + BEHIND]!;
      if (behind >= 0) {
        if (behind >= len) return false;
        at += (view.getUint8(off + behind) & 15) << 2;
      }
      const size = words[step + SIZE]!;
      if (at + size > len) return false;
      const field = size === 0 ? wireLen : read(view, off + at, size) & words[step + MASK]!;
      step = words[step + (holds(words[step + RELATION]!, field, words[step + VALUE]!) ? YES : NO)]!;
    }
    return step === MATCH;
  }
}

/**
 * Appends the steps of `root`, which go on at `yes` or `no` in the end, and returns where the first of them begins.
 * Recursion is as deep as `root` is to the right: a chain of a thousand `or` leans to the left.
 */
function write(words: number[], root: Node, yes: number, no: number): number {
  let node = root;
  while (node.kind !== 'question') {
    if (node.kind === 'not') {
      [yes, no] = [no, yes];
      node = node.of;
      continue;
    }
    const right = write(words, node.right, yes, no);
    if (node.kind === 'and') yes = right;
    else no = right;
    node = node.left;
  }
  const { at, size, behind, mask, relation, value } = node.question;
  return words.push(at, size, behind, mask, RELATIONS.indexOf(relation), value, yes, no) - STEP_LEN;
}

function read(view: DataView, at: number, size: number): number {
  if (size === 1) return view.getUint8(at);
  return size === 2 ? view.getUint16(at) : view.getInt32(at);
}

/** `relation` as its place in RELATIONS. */
function holds(relation: number, field: number, value: number): boolean {
  switch (relation) {
    case 0:
      return field === value;
    case 1:
      return field > value >>> 0;
    case 2:
      return field >= value >>> 0;
    default:
      return (field & value) !== 0;
  }
}
