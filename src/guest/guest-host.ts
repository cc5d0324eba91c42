import { Arena } from '../base/arena.ts';
import type { Clock } from '../base/clock.ts';
import { createMemory, type ViewMaker } from '../base/memory.ts';
import { Timers } from '../base/timers.ts';
import { Turn } from '../base/turn.ts';
import type { LinkHost } from '../link/link.ts';

/**
 * What an embedded guest runs on: its memory, its turns, its time. A network is one itself, and a guest on it shares
 * all of that; a guest with a host of its own is a machine of its own, as the one behind an emulator's cable is.
 */
export type GuestHost = LinkHost;

/** A host of its own. `clock` has one alarm: nobody else may use it. `arenaBytes`: a power of two, 2 MiB at least. */
export function createGuestHost(clock: Clock, arenaBytes: number, makeView: ViewMaker): GuestHost {
  const turn = new Turn(clock);
  return {
    arena: new Arena(createMemory(arenaBytes, makeView)),
    turn,
    clock,
    timers: new Timers(clock, turn),
  };
}
