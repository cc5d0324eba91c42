// The scripts of cases/, read from the disk.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseScript, type Script } from './script.ts';

const folder = join(import.meta.dirname, 'cases');

/** Every script, by name. */
export function allScripts(): Script[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.script'))
    .sort()
    .map((name) => parseScript(name.replace('.script', ''), readFileSync(join(folder, name), 'utf8')));
}
