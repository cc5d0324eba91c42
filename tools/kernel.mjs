// Compiles src/kernel/ with AssemblyScript and writes src/base/kernel-bytes.ts. `--print` prints instead:
// the test that holds the committed bytes against the source compares that.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import asc from 'assemblyscript/asc';

const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'usernet-kernel-'));
try {
  const wasm = join(folder, 'kernel.wasm');
  const { error, stderr } = await asc.main([
    join(root, 'src/kernel/kernel.ts'),
    ...['-o', wasm, '-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd'],
    ...['--initialMemory', '1', '--use', 'abort='],
  ]);
  if (error) throw new Error(`${error.message}\n${stderr}`);
  const hex = readFileSync(wasm).toString('hex');
  const lines = hex.match(/.{1,100}/g).map((line) => `  '${line}' +`);
  const text = [
    '// Made by `npm run kernel` from src/kernel; test/base/kernel.test.ts compares the two. Do not edit.',
    '',
    '/** The compiled kernel, a WebAssembly module in hexadecimal. */',
    'export const KERNEL_HEX =',
    ...lines,
    "  '';",
    '',
  ].join('\n');
  if (process.argv.includes('--print')) process.stdout.write(text);
  else writeFileSync(join(root, 'src/base/kernel-bytes.ts'), text);
} finally {
  rmSync(folder, { recursive: true });
}
