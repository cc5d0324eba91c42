import { expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { eachMessage, framesToMessages, streamHeader } from '../../src/node/websocket-wire.ts';
import { pattern, sameFrames } from '../support/link-bench.ts';

interface Message {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** RFC 6455 5.2, read by the book; throws where a server's message is not as it has to be. */
function messagesOf(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes.readUInt8(at);
    let len = bytes.readUInt8(at + 1);
    at += 2;
    if ((first & 0xf0) !== 0x80 || (len & 0x80) !== 0) throw new Error(`no whole and plain message at ${at}`);
    const extended = len === 126 ? 2 : len === 127 ? 8 : 0;
    if (extended > 0) {
      len = extended === 2 ? bytes.readUInt16BE(at) : Number(bytes.readBigUInt64BE(at));
      if (len < (extended === 2 ? 126 : 65536)) throw new Error(`${len} does with fewer bytes`);
      at += extended;
    }
    const payload = bytes.subarray(at, at + len);
    if (payload.length < len) throw new Error('a message is cut');
    messages.push({ opcode: first & 15, payload });
    at += len;
  }
  return messages;
}

const BINARY = 2;
const PONG = 10;

test('RFC 6455 5.2: a batch of frames becomes messages where it lies, empty Pongs before short ones', () => {
  const frames = [0, 1, 14, 60, 124, 125, 126, 127, 128, 255, 256, 1514, 65535].map((n) => pattern(n, n));
  const memory = memoryOver(Buffer.alloc(1 << 17));
  let end = 100;
  for (const frame of frames) {
    memory.view.setUint32(end, frame.length);
    memory.bytes.set(frame, end + 4);
    end += 4 + frame.length;
  }
  const before = [memory.bytes[99], memory.bytes[end]];
  framesToMessages(memory, 100, end);
  expect([memory.bytes[99], memory.bytes[end]]).toEqual(before);
  const messages = messagesOf(Buffer.from(memory.bytes.subarray(100, end)));
  const binary = messages.filter(({ opcode }) => opcode === BINARY).map(({ payload }) => payload);
  expect(sameFrames(binary, frames)).toBe(true);
  const others = messages.filter(({ opcode }) => opcode !== BINARY);
  expect(others.every(({ opcode, payload }) => opcode === PONG && payload.length === 0)).toBe(true);
  expect(others).toHaveLength(frames.filter(({ length }) => length < 126).length);
  const shown: Buffer[] = [];
  eachMessage(memory, 100, end, (off, len) => shown.push(Buffer.from(memory.bytes.subarray(off, off + len))));
  expect(sameFrames(shown, frames)).toBe(true);
});

test.each([0, 1, 125, 126, 65535, 65536, 262144])(
  'RFC 6455 5.2: the header of a message of %i bytes',
  (len) => {
    const payload = pattern(7, len);
    const messages = messagesOf(Buffer.concat([streamHeader(len), payload]));
    expect(messages.map(({ opcode, payload: got }) => [opcode, got.equals(payload)])).toEqual([
      [BINARY, true],
    ]);
  },
);
