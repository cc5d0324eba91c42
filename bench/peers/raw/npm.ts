// Packages of npm that are measured but not depended on: installed below a temporary folder for the length of a run.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from '../machine.ts';

/** Installs one version of a package without running its scripts; the folder that it is in. Needs npm's registry. */
export function install(folder: string, name: string, version: string): string {
  const place = join(folder, name.replace('/', '-'));
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{"private": true}\n');
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', ['install', '--prefix', place, ...options, `${name}@${version}`], 180_000);
  return join(place, 'node_modules', name);
}

/** A file of an installed package, also one that it does not export. */
export async function load<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(path).href)) as T;
}

/** Name, version and the date on which it was published. */
export function published(name: string, version: string): string {
  const times = JSON.parse(run('npm', ['view', name, 'time', '--json'])) as Record<string, string>;
  const date = times[version]?.slice(0, 10);
  return date === undefined ? `${name} ${version}` : `${name} ${version} of ${date}`;
}
