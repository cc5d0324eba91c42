// Runs a TypeScript file on any Node we support: `node tools/run.mjs FILE [ARG ...]`.
// Node 20 does not strip types itself, so esbuild bundles the file beside the installed packages first.
import { mkdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) {
  process.stderr.write('usage: node tools/run.mjs FILE [ARG ...]\n');
  process.exit(2);
}
const folder = resolve(import.meta.dirname, '../node_modules/.cache/usernet');
mkdirSync(folder, { recursive: true });
const outfile = resolve(folder, `${basename(entry, '.ts')}.${process.pid}.mjs`);
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
process.argv.splice(1, process.argv.length - 1, resolve(entry), ...args);
await import(pathToFileURL(outfile).href);
