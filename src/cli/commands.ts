import type { Command } from './args.ts';
import { demo } from './demo.ts';
import { qemu } from './qemu.ts';
import { relay } from './relay.ts';
import { replay } from './replay.ts';
import { run } from './run.ts';
import { show } from './show.ts';

/** What `usernet` can do, in the order of its help. */
export const commands: readonly Command[] = [run, qemu, relay, show, replay, demo];
