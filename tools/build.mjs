// Builds dist/: usernet.mjs, the command line as one file with its dependency inside, and lib/, the library as modules
// with their types. `--cli` builds the first alone.
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));
const program = resolve(root, 'dist/usernet.mjs');

// `ws` is CommonJS: inside a module it finds Node's own through this.
const BANNER = `#!/usr/bin/env node
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);`;

await build({
  entryPoints: [resolve(root, 'src/cli/main.ts')],
  outfile: program,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  banner: { js: BANNER },
  define: { USERNET_VERSION: JSON.stringify(version) },
  // Native, optional, and imported only when a TAP link is asked for.
  external: ['koffi'],
  legalComments: 'inline',
  logLevel: 'warning',
});
chmodSync(program, 0o755);

if (!process.argv.includes('--cli')) {
  const lib = resolve(root, 'dist/lib');
  rmSync(lib, { recursive: true, force: true });
  const tsc = resolve(root, 'node_modules/typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-p', resolve(root, 'tools/tsconfig.build.json')], {
    stdio: 'inherit',
  });
  process.exitCode = result.status ?? 1;
}
