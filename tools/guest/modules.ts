// The kernel's modules for a guest's network cards, as its init wants them: modules/NAME.ko, and modules/NIC.order with
// what to load for one NIC, one file a line.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Entry } from './cpio.ts';

/** Names of the kernel's modules for each NIC. */
export type Nics = Readonly<Record<string, readonly string[]>>;

/** Modules and orders for `nics`, of the modules below `root`; throws where the kernel lacks one. */
export function moduleEntries(nics: Nics, root: string): Entry[] {
  const modules = findModules(root);
  const entries = new Map<string, Entry>();
  for (const [nic, names] of Object.entries(nics)) {
    const files = withDependencies(names, modules);
    for (const file of files) {
      const path = `modules/${basename(file)}`;
      entries.set(path, { path, mode: 0o100644, data: readFileSync(file) });
    }
    const order = `${files.map((file) => basename(file)).join('\n')}\n`;
    entries.set(nic, { path: `modules/${nic}.order`, mode: 0o100644, data: Buffer.from(order) });
  }
  return [...entries.values()];
}

/** Every module below `root` by name, `_` for `-` as the kernel compares them. */
function findModules(root: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (entry.endsWith('.ko')) found.set(basename(entry, '.ko').replaceAll('-', '_'), join(root, entry));
  }
  return found;
}

/** Modules in the order of loading: what one depends on, as its own .modinfo says, comes first. */
function withDependencies(names: readonly string[], modules: ReadonlyMap<string, string>): string[] {
  const order: string[] = [];
  const visit = (name: string): void => {
    const file = modules.get(name.replaceAll('-', '_'));
    if (file === undefined) throw new Error(`the kernel has no module ${name}`);
    if (order.includes(file)) return;
    const depends = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1'))?.[1] ?? '';
    for (const other of depends.split(',')) if (other !== '') visit(other);
    order.push(file);
  };
  for (const name of names) visit(name);
  return order;
}
