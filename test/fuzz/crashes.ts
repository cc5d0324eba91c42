// Runs that failed once, kept as files: test/fuzz/crashes/NAME.script, see ops.ts for what is in it. A test plays them.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { memoryOver } from '../../src/base/memory.ts';
import { describeFrame } from '../../src/wire/describe.ts';
import type { Failure } from './campaign.ts';
import { opText, type Script, scriptOf, scriptText } from './ops.ts';
import { shrink } from './shrink.ts';

const SHRINK_MS = 120_000;
const LAST = 20;

export function crashFolder(root: string): string {
  return resolve(root, 'test/fuzz/crashes');
}

export function loadScripts(folder: string): { readonly name: string; readonly script: Script }[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.script'));
  return names
    .sort()
    .map((name) => ({ name, script: scriptOf(readFileSync(resolve(folder, name), 'utf8')) }));
}

/** Saves what led to the failure, as short as it gets; tells where, and shows the end of it. */
export async function saveCrash(
  failure: Failure,
  folder: string,
  tell: (line: string) => void,
): Promise<void> {
  tell(failure.message);
  const { script } = failure;
  tell(`the last of ${script.ops.length} ops:`);
  for (const line of lastLines(script)) tell(`  ${line}`);
  const short = await shrink(script, performance.now() + SHRINK_MS);
  if (short === null) {
    tell(
      failure.isWhole
        ? 'played alone it does not fail; the file has all of it'
        : 'the log is not whole, and what is left of it does not fail: run it again with the same seed',
    );
  }
  const text = scriptText(short ?? script);
  mkdirSync(folder, { recursive: true });
  const name = `${script.world}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}.script`;
  writeFileSync(resolve(folder, name), text);
  tell(`${(short ?? script).ops.length} ops are in ${resolve(folder, name)}`);
}

function lastLines(script: Script): string[] {
  return script.ops.slice(-LAST).map((op) => {
    if (op.kind !== 'frame') return opText(op);
    const shown = describeFrame(memoryOver(op.bytes), 0, op.bytes.length);
    return `guest ${op.guest}: ${shown}${op.rebased ? ' (numbers relative)' : ''}`;
  });
}
