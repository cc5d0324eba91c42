// The command line of the benchmarks.

import { parseArgs } from 'node:util';
import type { Kernel } from './engine.ts';

export interface Options {
  readonly quick: boolean;
  /** Names of parts; empty: all. */
  readonly only: readonly string[];
  readonly kernel: Kernel;
  readonly record: boolean;
}

export const HELP = `npm run bench -- [--quick] [--only PART[,PART]] [--kernel wasm|js] [--record]

  --quick      a tenth of the time: to see that it runs, not to be believed
  --only PART  some parts of it
  --kernel js  the twin for places without WebAssembly, in the parts where payload is summed
  --record     what later runs are compared with, and the README's tables
`;

/** Throws an Error, one line, when the arguments are wrong. */
export function parseOptions(args: readonly string[], parts: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      kernel: { type: 'string', default: 'wasm' },
      record: { type: 'boolean', default: false },
    },
  });
  const { quick, kernel, record } = values;
  const only = values.only.split(',').filter((name) => name !== '');
  const unknown = only.find((name) => !parts.includes(name));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: the parts are ${parts.join(', ')}`);
  if (kernel !== 'wasm' && kernel !== 'js') throw new Error(`--kernel ${kernel}: wasm or js`);
  if (record && (quick || only.length > 0)) throw new Error('--record: only a whole run is recorded');
  return { quick, only, kernel, record };
}
