import type { Socket } from 'node:dgram';
import { beforeEach, expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { SCRATCH_LEN, SendScratch } from '../../src/node/send-scratch.ts';

const SOURCE = SCRATCH_LEN;
const memory = memoryOver(Buffer.alloc(SCRATCH_LEN + 4096));
let scratch: SendScratch;

beforeEach(() => {
  memory.bytes.fill(0);
  scratch = new SendScratch(memory, 0);
});

function put(text: string): [number, number] {
  memory.bytes.set(Buffer.from(text), SOURCE);
  return [SOURCE, text.length];
}

/** A socket that has so many datagrams waiting; null: it is closed. */
function socketWith(state: { waiting: number | null }): Socket {
  return {
    getSendQueueCount: () => {
      if (state.waiting === null) throw new Error('Not running');
      return state.waiting;
    },
  } as unknown as Socket;
}

const isInArena = (data: Buffer): boolean => data.buffer === memory.bytes.buffer;

test('what was sent is free at once: the place is used again, with one view for one size', () => {
  const first = scratch.copy(...put('one'));
  expect(first.toString()).toBe('one');
  const second = scratch.copy(...put('two'));
  expect(second).toBe(first);
  expect(second.toString()).toBe('two');
  const third = scratch.copy(...put('three'));
  expect(third.toString()).toBe('three');
  expect(isInArena(third)).toBe(true);
});

test('held for a socket that waits: whoever sends meanwhile gets a copy of its own, and the held one stays as it is', () => {
  const state = { waiting: 1 };
  const held = scratch.copy(...put('held'));
  scratch.hold(held, socketWith(state));
  const others = ['four', 'more', 'than one'].map((text) => scratch.copy(...put(text)));
  expect(others.map((data) => data.toString())).toEqual(['four', 'more', 'than one']);
  expect(others.some(isInArena)).toBe(false);
  expect(held.toString()).toBe('held');
  state.waiting = 0;
  expect(isInArena(scratch.copy(...put('free')))).toBe(true);
  // Asked once: it stays free when that socket waits for something else.
  state.waiting = 1;
  expect(isInArena(scratch.copy(...put('free')))).toBe(true);
});

test('a socket that is closed holds nothing', () => {
  const state: { waiting: number | null } = { waiting: 1 };
  scratch.hold(scratch.copy(...put('held')), socketWith(state));
  state.waiting = null;
  expect(isInArena(scratch.copy(...put('next')))).toBe(true);
});

test('a copy of its own holds nothing either', () => {
  const state = { waiting: 1 };
  scratch.hold(scratch.copy(...put('held')), socketWith(state));
  scratch.hold(scratch.copy(...put('own')), socketWith({ waiting: 1 }));
  state.waiting = 0;
  expect(isInArena(scratch.copy(...put('next')))).toBe(true);
});
