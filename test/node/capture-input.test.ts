import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCaptureFile } from '../../src/node/capture-input.ts';
import type { CaptureDamage } from '../../src/pcap/frames.ts';
import { bytes, Classic, FRAME, Ng, SECONDS } from '../pcap/reader-bytes.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'usernet-input-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const capture = new Classic();
const RECORD = capture.record(SECONDS, 0, FRAME);

function fileOf(name: string, content: Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

async function read(path: string): Promise<{ numbers: number[]; damage: CaptureDamage | null }> {
  const numbers: number[] = [];
  const damage = await readCaptureFile(path, (frame) => numbers.push(frame.number));
  return { numbers, damage };
}

test('a capture is read to its end', async () => {
  const path = fileOf('whole.pcap', bytes(capture.header(), RECORD, RECORD));
  expect(await read(path)).toEqual({ numbers: [1, 2], damage: null });
});

test('one of several mebibytes comes in pieces, records across their borders included', async () => {
  const data = Uint8Array.from({ length: 60_001 }, (_, i) => i);
  const records = Array.from({ length: 100 }, (_, i) => capture.record(SECONDS, i, data));
  const path = fileOf('large.pcap', bytes(capture.header(), ...records));
  let pieces = 0;
  let frames = 0;
  const damage = await readCaptureFile(
    path,
    ({ memory, off, len, nanoseconds }) => {
      expect(nanoseconds).toBe(1000 * frames++);
      expect(Buffer.compare(memory.bytes.subarray(off, off + len), data)).toBe(0);
    },
    {
      goOn: () => {
        pieces++;
        return true;
      },
    },
  );
  expect([damage, frames, pieces]).toEqual([null, 100, 6]);
});

test('nothing more is read once nobody wants it, and that is no damage', async () => {
  const path = fileOf('long.pcap', bytes(capture.header(), new Uint8Array(3 << 20)));
  let pieces = 0;
  const damage = await readCaptureFile(path, () => {}, {
    goOn: async () => ++pieces < 2,
  });
  expect([damage, pieces]).toEqual([null, 2]);
});

test('interfaces are told', async () => {
  const ng = new Ng();
  const path = fileOf('ng.pcapng', bytes(ng.section(), ng.interface(ng.text(2, 'guest 1'))));
  const names: (string | null)[] = [];
  await readCaptureFile(path, () => {}, { onSource: ({ name }) => names.push(name) });
  expect(names).toEqual(['guest 1']);
});

describe('what cannot be read', () => {
  test('damage is where and why, behind what could be read', async () => {
    const path = fileOf('cut.pcap', bytes(capture.header(), RECORD, RECORD.slice(0, 30)));
    expect(await read(path)).toEqual({
      numbers: [1],
      damage: { offset: 100, reason: 'the file ends inside a record, 30 bytes behind its beginning' },
    });
    expect((await read(fileOf('empty', new Uint8Array()))).damage?.reason).toBe('empty, not a capture');
    expect((await read(fileOf('text', Buffer.from('text')))).damage?.reason).toBe(
      'not a capture: it begins with 0x74657874',
    );
  });

  test('no file, a directory: an error that names it', async () => {
    const nowhere = join(dir, 'nowhere');
    await expect(read(nowhere)).rejects.toThrow(`${nowhere}: no such file or directory`);
    await expect(read(dir)).rejects.toThrow(`${dir}: is a directory, not a capture`);
  });

  test('a file of somebody else', async () => {
    const path = fileOf('locked', capture.header());
    chmodSync(path, 0);
    const isRoot = process.geteuid?.() === 0;
    // Whom nothing is forbidden becomes nobody for a moment.
    if (isRoot) process.seteuid?.(65534);
    try {
      await expect(read(path)).rejects.toThrow(`${path}: permission denied`);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});
