// Signals of a program that serves until it is told to stop. The first SIGINT or SIGTERM asks it to end, a second one
// ends it at once; SIGHUP is a SIGTERM (the terminal is gone); SIGUSR1 asks for statistics.

import { constants } from 'node:os';

type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGUSR1';

const ENDING: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export interface SignalEvents {
  /** The first signal that asks for the end. */
  onEnd(signal: NodeJS.Signals): void;
  onStats(): void;
}

/** Listens until the returned function is called. */
export function onSignals(events: SignalEvents): () => void {
  let ending = false;
  const end = (signal: NodeJS.Signals): void => {
    if (ending) process.exit(exitStatus(signal));
    ending = true;
    events.onEnd(signal);
  };
  const stats = (): void => events.onStats();
  for (const signal of ENDING) process.on(signal, end);
  process.on('SIGUSR1', stats);
  return () => {
    for (const signal of ENDING) process.off(signal, end);
    process.off('SIGUSR1', stats);
  };
}

/** What a shell reports for a program that a signal ended. */
export function exitStatus(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
