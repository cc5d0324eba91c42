// What one capture of the collection is: who the guest is, what it does, and how that is recorded.

import { onStage, type Stage, type StageOptions } from './engines.ts';
import type { World } from './world.ts';

export type EngineName = 'libslirp' | 'usernet';
const ENGINES: readonly EngineName[] = ['libslirp', 'usernet'];
/** 'nano': a classic file with nanoseconds. */
export type Format = 'pcap' | 'nano' | 'pcapng';

export interface Scene {
  /** The file's name without its extension. */
  readonly name: string;
  readonly format: Format;
  /** Who gives the guest its network. */
  readonly engine: EngineName;
  /** What the guest is and runs, for pcaps/README.md. */
  readonly guest: string;
  /** Debian packages whose versions pcaps/README.md shall name; of a kernel the beginning of the name is enough. */
  readonly packages: readonly string[];
  /** A folder in the checkout with those that are not installed. */
  readonly debs?: string;
  /** What happens, in order, for pcaps/README.md. */
  readonly shows: string;
  /** Fetches what it needs, before the network is left. `root` is the checkout. */
  readonly prepare?: (root: string) => Promise<void>;
  /** Plays it and leaves the capture at `file`. */
  record(world: World, file: string): Promise<void>;
}

export interface TapScene extends Partial<Omit<StageOptions, 'engine' | 'file'>> {
  readonly name: string;
  readonly guest: string;
  readonly packages: readonly string[];
  readonly shows: string;
  /** Default: both. */
  readonly engines?: readonly EngineName[];
  play(stage: Stage, world: World): Promise<void>;
}

/** A scene for each engine, whose guests are network namespaces. */
export function tapScenes(options: TapScene): Scene[] {
  const { name, guest, packages, shows, play, engines = ENGINES, format = 'pcap', ...rest } = options;
  return engines.map((engine) => ({
    name: `${name}-${engine}`,
    format,
    engine,
    guest: `Linux in a namespace: ${guest}`,
    packages,
    shows,
    record: (world, file) => {
      return onStage(world, { ...rest, engine, file, format }, (stage) => play(stage, world));
    },
  }));
}
