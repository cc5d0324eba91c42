// Boots the machine in v86 with one card and writes the state in which its agent takes commands to FOLDER/CARD.state:
// `node tools/run.mjs tools/v86/save-state.ts FOLDER CARD`. For build.ts.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentPort, newMachine, whenReady } from './machine.ts';
import type { Card } from './settings.ts';

const BOOT_MS = 150_000;

const [folder, card] = process.argv.slice(2) as [string, Card];
const machine = newMachine(folder, card);
let console = '';
machine.add_listener('serial0-output-byte', (byte) => {
  console += String.fromCharCode(byte);
});
const late = setTimeout(() => {
  process.stderr.write(`${card}: not up after ${BOOT_MS / 1000} s\n${console}\n`);
  process.exit(1);
}, BOOT_MS);
const port = agentPort(machine);
await whenReady(machine);
await machine.run();
for await (const bytes of port) if (`${bytes}`.includes('\n')) break;
await machine.stop();
clearTimeout(late);
writeFileSync(join(folder, `${card}.state`), Buffer.from(await machine.save_state()));
await machine.destroy();
