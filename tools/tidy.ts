// The machine that checks the house rules: the dependency table, the limits on files and functions, what the core must
// not use, what tests must not do. `npm run tidy` checks this tree; `node tools/run.mjs tools/tidy.ts FOLDER` another.
// One line for each finding, `src/tcp/bad.ts:2: tcp/ must not import nat/`, and exit status 1 when there is one.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkLayers } from './tidy/layers.ts';
import { checkComments, checkCoreGlobals, checkSizes, checkTests, checkText } from './tidy/rules.ts';
import { type Finding, Source } from './tidy/source.ts';

/** Folders with code, and the files beside them whose text is checked. */
const CODE_FOLDERS = ['src', 'bench', 'tools', 'test'];
const TEXT_ONLY = [
  '.ci',
  'pcaps',
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'vitest.config.ts',
  'biome.json',
];
/** Made by others or by machines: AssemblyScript, build products, results. */
const SKIPPED = ['src/kernel', 'tools/guest/build', 'test/e2e/out', 'bench/results', 'node_modules'];
const CODE = /\.(ts|mts|mjs|js)$/;
const TEXT = /\.(md|json|sh|txt|ya?ml|html|c)$|\/[^.]+$/;

/** Every finding in the tree at `root`, by path and line. */
export function tidy(root: string): Finding[] {
  const findings: Finding[] = [];
  for (const path of [...CODE_FOLDERS, ...TEXT_ONLY].flatMap((name) => filesIn(root, name))) {
    if (!CODE.test(path) && !TEXT.test(`/${path}`)) continue;
    const text = readFileSync(join(root, path), 'utf8');
    findings.push(...checkText(path, text));
    if (CODE.test(path)) findings.push(...checkCode(path, text));
  }
  return findings.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

function checkCode(path: string, text: string): Finding[] {
  const source = new Source(path, text);
  if (source.errors.length > 0) return source.errors.map((error) => source.finding(0, error));
  const findings = [...checkSizes(source), ...checkComments(source)];
  if (path.startsWith('src/')) findings.push(...checkLayers(source), ...checkCoreGlobals(source));
  if (path.startsWith('test/')) findings.push(...checkTests(source));
  return findings;
}

/** Files below `root`/`path`, or the file itself; none when there is no such thing. */
function filesIn(root: string, path: string): string[] {
  if (SKIPPED.some((skipped) => path === skipped || path.endsWith(`/${skipped}`))) return [];
  const stat = statSync(join(root, path), { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (!stat.isDirectory()) return [path];
  return readdirSync(join(root, path)).flatMap((name) => filesIn(root, `${path}/${name}`));
}

/** A finding as one line of text. */
export function formatFinding({ path, line, message }: Finding): string {
  return `${path}:${line}: ${message}`;
}

function main(): void {
  const findings = tidy(resolve(process.argv[2] ?? '.'));
  for (const finding of findings) process.stdout.write(`${formatFinding(finding)}\n`);
  if (findings.length > 0) process.exitCode = 1;
}

if (process.argv[1]?.endsWith('tidy.ts')) main();
