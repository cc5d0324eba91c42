// The corpus: inputs that reach what no other one of them does, as files that are small enough to be kept.
//   corpus/scripts.jsonl    a script of ops.ts in each line: { world, seed, ops }
//   corpus/TARGET.hex       an input of BYTE_TARGETS in each line

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { hexBytes, hexText, opOf, opText, type Script } from '../ops.ts';
import type { ByteTarget, Targets } from './bundle.ts';

/** One input. */
export type Entry =
  | { readonly target: 'script'; readonly script: Script }
  | { readonly target: ByteTarget; readonly bytes: Uint8Array };

export const BYTE_TARGET_NAMES: readonly ByteTarget[] = [
  'frame',
  'message',
  'question',
  'name',
  'fromClient',
];

export function loadCorpus(root: string): Entry[] {
  const entries: Entry[] = linesOf(root, 'scripts.jsonl').map((line) => {
    const { world, seed, ops } = JSON.parse(line) as {
      world: string;
      seed: number;
      ops: (string | number)[][];
    };
    return { target: 'script', script: { world, seed, ops: ops.map(opOf) } };
  });
  for (const target of BYTE_TARGET_NAMES) {
    for (const line of linesOf(root, `${target}.hex`)) entries.push({ target, bytes: hexBytes(line) });
  }
  return entries;
}

export function saveCorpus(root: string, entries: readonly Entry[]): void {
  const lines = new Map<string, string[]>([['scripts.jsonl', []]]);
  for (const target of BYTE_TARGET_NAMES) lines.set(`${target}.hex`, []);
  for (const entry of entries) {
    if (entry.target === 'script') {
      const { world, seed, ops } = entry.script;
      const text = `{"world":"${world}","seed":${seed},"ops":[${ops.map(opText).join(',')}]}`;
      lines.get('scripts.jsonl')!.push(text);
    } else lines.get(`${entry.target}.hex`)!.push(hexText(entry.bytes));
  }
  for (const [name, all] of lines) {
    const text = all.sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).map((line) => `${line}\n`);
    writeFileSync(pathOf(root, name), text.join(''));
  }
}

export async function feed(targets: Targets, entry: Entry): Promise<void> {
  if (entry.target === 'script') await targets.play(entry.script, 0, 64);
  else targets.BYTE_TARGETS[entry.target](entry.bytes);
}

function linesOf(root: string, name: string): string[] {
  const path = pathOf(root, name);
  if (!existsSync(path)) return [];
  // An empty line is an empty input; what is behind the last newline is none.
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

function pathOf(root: string, name: string): string {
  return resolve(root, 'test/fuzz/corpus', name);
}
