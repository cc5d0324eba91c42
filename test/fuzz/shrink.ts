// A script that fails, made as short as it gets in the time there is: pieces of it are left out, smaller and smaller
// ones, as long as what is left fails in the same way.

import { play } from './campaign.ts';
import type { Op, Script } from './ops.ts';

/** What went wrong, without the numbers in it; null where nothing did. */
export async function wayOfFailing(script: Script): Promise<string | null> {
  try {
    await play(script, 0, script.ops.length > 2000 ? 64 : 1);
    return null;
  } catch (error) {
    const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
    const place = stack.split('\n').find((line) => line.trimStart().startsWith('at ')) ?? '';
    return `${message} ${place.replace(/\(.*/, '')}`.replace(/-?\d+/g, '#');
  }
}

/**
 * null where the script does not fail at all when it is played. `until`: on performance.now(). `fails`: in which way it
 * does, null for none.
 */
export async function shrink(
  script: Script,
  until: number,
  fails: (script: Script) => Promise<string | null> = wayOfFailing,
): Promise<Script | null> {
  const way = await fails(script);
  if (way === null) return null;
  let ops: readonly Op[] = script.ops;
  for (let size = Math.ceil(ops.length / 2); size >= 1 && performance.now() < until; ) {
    let removed = false;
    for (let at = ops.length; at > 0 && performance.now() < until; at -= size) {
      const from = Math.max(0, at - size);
      const rest = [...ops.slice(0, from), ...ops.slice(at)];
      if ((await fails({ ...script, ops: rest })) !== way) continue;
      ops = rest;
      removed = true;
    }
    if (!removed || size > ops.length) size = size === 1 ? 0 : Math.floor(size / 2);
  }
  return { ...script, ops };
}
