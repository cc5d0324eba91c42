// The dependency rule: imports point down this table, never up, never sideways. Type imports count: a lower layer that
// needs a type of a higher one has to declare it itself.

import { posix } from 'node:path';
import type { Finding, Node } from './source.ts';
import { isNode, type Source, walk } from './source.ts';

/** Folder of src/ to the folders it may import, besides itself. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ['base'],
  host: ['base', 'wire'],
  pcap: ['base', 'wire'],
  tcp: ['base', 'wire'],
  link: ['base', 'wire', 'pcap'],
  switch: ['base', 'wire', 'link'],
  ip: ['base', 'wire', 'link'],
  services: ['base', 'wire', 'host'],
  guest: ['base', 'wire', 'link', 'ip', 'tcp'],
  nat: ['base', 'wire', 'host', 'ip', 'tcp'],
  network: [
    ...['base', 'wire', 'host', 'pcap', 'tcp', 'link', 'switch', 'ip'],
    ...['services', 'guest', 'nat'],
  ],
  replay: ['base', 'wire', 'host', 'pcap', 'tcp', 'link', 'ip', 'network'],
  relay: ['base', 'wire', 'host'],
  web: ['base', 'wire', 'host', 'link', 'network', 'relay'],
  node: ['base', 'wire', 'host', 'pcap', 'link', 'network', 'relay', 'web'],
  cli: ['base', 'wire', 'pcap', 'link', 'guest', 'network', 'replay', 'relay', 'node'],
};

/** What every place can run that has WebAssembly or not even that: neither Node nor a browser. */
const CORE = Object.keys(LAYERS).filter((folder) => !['web', 'node', 'cli'].includes(folder));

/** The package's entry points. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  'index.ts': [...CORE, 'web'],
  'pcap.ts': CORE,
  'testing.ts': CORE,
  'v86.ts': CORE,
  'node.ts': [...CORE, 'web', 'node', 'index.ts', 'pcap.ts'],
  'qemu.ts': [...CORE, 'node'],
  'websocket.ts': [...CORE, 'node'],
};

/** npm packages that src/ may import, and where. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  // Objects and BigInt: for what a user writes, never on the packet path.
  'ip-num': ['network'],
  koffi: ['node'],
  ws: ['node'],
};

/** The part of src/ that `path` belongs to: a folder's name, or a file's for those directly in src/. */
export function partOf(path: string): string {
  return path.split('/')[1] ?? '';
}

/** May the file import node:*, and use what only Node has? */
export function isNodeSide(path: string): boolean {
  return ['node', 'node.ts', 'qemu.ts', 'websocket.ts', 'cli'].includes(partOf(path));
}

/** May the file use what a browser and Node have both, such as setTimeout and WebSocket? */
export function isWebSide(path: string): boolean {
  return partOf(path) === 'web' || isNodeSide(path);
}

export function checkLayers(source: Source): Finding[] {
  const part = partOf(source.path);
  const may = LAYERS[part] ?? ENTRIES[part];
  if (may === undefined)
    return [source.finding(0, `src/${part} is not in the dependency table of tools/tidy`)];
  const findings: Finding[] = [];
  for (const { from, start } of importsOf(source)) {
    const wrong = from.startsWith('.') ? wrongFile(source.path, from, may) : wrongPackage(source.path, from);
    if (wrong !== '') findings.push(source.finding(start, wrong));
  }
  return findings;
}

function wrongFile(path: string, from: string, may: readonly string[]): string {
  const target = posix.join(posix.dirname(path), from);
  const part = partOf(path);
  if (!target.startsWith('src/')) return `${title(part)} must not import ${target}: it is outside src/`;
  const to = partOf(target);
  return to === part || may.includes(to) ? '' : `${title(part)} must not import ${title(to)}`;
}

function wrongPackage(path: string, from: string): string {
  const part = partOf(path);
  if (from.startsWith('node:')) {
    return isNodeSide(path) ? '' : `${title(part)} must not import ${from}: only node/ and cli/ may`;
  }
  return PACKAGES[from]?.includes(part) ? '' : `${title(part)} must not import the package ${from}`;
}

function title(part: string): string {
  return part.endsWith('.ts') ? `src/${part}` : `${part}/`;
}

interface Import {
  readonly from: string;
  readonly start: number;
}

/** Every import and re-export with its specifier; `import(x)` with a computed one has the specifier '(computed)'. */
export function importsOf(source: Source): Import[] {
  const imports: Import[] = [];
  walk(source.program, (node: Node) => {
    if (!/^(Import(Declaration|Expression)|Export(Named|All)Declaration|TSImportType)$/.test(node.type))
      return;
    const from = node['source'] ?? node['argument'];
    if (!isNode(from)) return;
    const literal = isNode(from['literal']) ? from['literal'] : from;
    imports.push({
      from: literal.type === 'Literal' ? String(literal['value']) : '(computed)',
      start: node.start,
    });
  });
  return imports;
}
