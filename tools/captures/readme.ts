// The table of pcaps/README.md: a row for each capture, in the order of their names, written when it is recorded.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Scene } from './scene.ts';

const BEGIN = '<!-- captures: written by npm run captures -->';
const END = '<!-- end of captures -->';
const HEAD = '| file | frames | engine | guest | what it shows |\n|---|---:|---|---|---|';

/** Name and version of a Debian package: of its file in `folder`, or as it is installed. */
function versionOf(name: string, folder: string | null): string {
  const files = folder === null ? [] : readdirSync(folder);
  // name_version_arch.deb, the version percent-encoded.
  const file = files.find((file) => file.startsWith(name) && file.endsWith('.deb'));
  if (file !== undefined) return file.split('_').slice(0, 2).map(decodeURIComponent).join(' ');
  const { stdout } = spawnSync('dpkg-query', ['-s', name], { encoding: 'utf8' });
  const version = /^Version: (.*)$/m.exec(stdout ?? '')?.[1];
  if (version === undefined) throw new Error(`the Debian package ${name} is not installed`);
  return `${name} ${version}`;
}

/** `root` is the checkout. */
export function rowOf(root: string, file: string, frames: number, scene: Scene): string {
  const { packages, debs } = scene;
  const versions = packages.map((name) => versionOf(name, debs === undefined ? null : join(root, debs)));
  const engine = scene.engine === 'libslirp' ? versionOf('libslirp0', null) : scene.engine;
  return `| \`${file}\` | ${frames} | ${engine} | ${scene.guest} (${versions.join(', ')}) | ${scene.shows} |`;
}

/** `text` with `row` in its table, in place of the row of the same file. */
export function withRow(text: string, row: string): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  const isThere = begin >= 0 && end > begin;
  const before = isThere ? text.slice(0, begin) : text;
  const after = isThere ? text.slice(end + END.length) : '\n';
  const nameOf = (line: string) => /^\| `([^`]+)`/.exec(line)?.[1];
  const rows = isThere ? text.slice(begin, end).split('\n') : [];
  const others = rows.filter((line) => nameOf(line) !== undefined && nameOf(line) !== nameOf(row));
  const sorted = [...others, row].sort();
  return `${before}${BEGIN}\n${HEAD}\n${sorted.join('\n')}\n${END}${after}`;
}
