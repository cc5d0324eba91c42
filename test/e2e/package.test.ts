// The package as npm would publish it: what is in it, what its judges say, and a project that has installed it. That project
// has TypeScript, the types of Node and nothing else, and does not skip the checks of our declarations.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWithProgram } from './support/requirements.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** In kB: with a little room. */
const MOST_PACKED = 850;

/** Entries that a page may have, and those that need Node; with what a user of each takes from it first. */
const BROWSER = {
  usernet: ['createNetwork', 'RelayHost', 'WebClock', 'dialWebSocket', 'webStreams'],
  'usernet/v86': ['attachV86'],
  'usernet/pcap': ['readCapture', 'replay', 'parseFilter'],
  'usernet/testing': ['createTestNetwork'],
};
const NODE = {
  'usernet/node': ['createNetwork', 'duplexOf', 'PcapFile', 'captureLink'],
  'usernet/qemu': ['openQemuPort', 'parseLinkSpec'],
  'usernet/websocket': ['serveWebSocket', 'openRelay', 'dialWs'],
};

/** What TypeScript is told to know, of a page and of Node. */
const FOR_PAGES = ['--lib', 'es2023,dom', '--types', ''];
const FOR_NODE = ['--lib', 'es2023', '--types', 'node'];

/** What a program of a user's says of each entry, and of the network that an emulator has. */
function program(entries: Readonly<Record<string, readonly string[]>>): string {
  const [[first, names] = ['', []]] = Object.entries(entries);
  const imports = Object.entries(entries).map(
    ([entry, all]) => `import { ${all.join(', ')} } from '${entry}';`,
  );
  const uses = Object.values(entries)
    .flat()
    .map((name) => `console.log(typeof ${name});`);
  expect([first, ...names]).toContain('createNetwork');
  return [
    ...imports,
    'await using network = createNetwork({ forwards: [] });',
    'const port = network.attachPort({ toGuest: (frame: Uint8Array): boolean => frame.length > 0 });',
    'port.fromGuest(new Uint8Array(60));',
    "network.on('lease', ({ address }): string => address);",
    ...uses,
  ].join('\n');
}

let project = '';
let packed: {
  readonly filename: string;
  readonly version: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
};
let tarball = '';
const installed = (path = ''): string => join(project, 'node_modules/usernet', path);
const manifest = (): {
  exports: Record<string, { types: string; default: string }>;
  bin: { usernet: string };
} => JSON.parse(readFileSync(installed('package.json'), 'utf8'));

/** Runs a program of this checkout's in the project. */
function run(cwd: string, ...argv: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(argv[0]!, argv.slice(1), { cwd, encoding: 'utf8' });
  return { status, stdout, output: `${stdout}${stderr}` };
}

/** What TypeScript says of a file in the project, with all of our declarations checked. */
function typecheck(file: string, libraries: readonly string[], ...how: readonly string[]) {
  const tsc = [
    'node',
    join(ROOT, 'node_modules/typescript/bin/tsc'),
    '--noEmit',
    '--strict',
    '--target',
    'es2022',
  ];
  return run(project, ...tsc, ...how, ...libraries, file);
}

describeWithProgram('the package', () => {
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'usernet-package-'));
    const pack = ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', project];
    const { status, stdout, output } = run(ROOT, ...pack);
    expect(status, output).toBe(0);
    [packed] = JSON.parse(stdout);
    tarball = join(project, packed.filename);
    for (const folder of ['usernet', '@types'])
      mkdirSync(join(project, 'node_modules', folder), { recursive: true });
    expect(run(project, 'tar', '-xzf', tarball, '--strip-components=1', '-C', installed()).status).toBe(0);
    for (const name of ['ip-num', 'ws', '@types/node', 'undici-types'])
      symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(project, 'page.ts'), program(BROWSER));
    writeFileSync(join(project, 'program.ts'), program(NODE));
  });
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  contentTests();
  projectTests();
});

function contentTests(): void {
  test('holds what runs, its types and three texts, and nothing else', () => {
    const paths = packed.files.map(({ path }) => path);
    const others = paths.filter((path) => !/^dist\/lib\/([\w-]+\/)?[\w-]+\.(js|d\.ts)$/.test(path));
    const texts = ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist/usernet.mjs', 'package.json'];
    expect(others.sort()).toEqual(texts);
    expect(paths.filter((path) => /\/cli\//.test(path))).toEqual([]);
    for (const path of paths.filter((one) => one.endsWith('.js')))
      expect(paths).toContain(path.replace(/\.js$/, '.d.ts'));
    expect(packed.size / 1000).toBeLessThan(MOST_PACKED);
  });

  test('names no source map: there are none in it', () => {
    const code = packed.files.map(({ path }) => path).filter((path) => /\.m?[jt]s$/.test(path));
    expect(code.length).toBeGreaterThan(100);
    const mapped = code.filter((path) =>
      /^\/\/# sourceMappingURL=/m.test(readFileSync(installed(path), 'utf8')),
    );
    expect(mapped).toEqual([]);
  });

  test('publint has nothing to say', async () => {
    const { messages } = await publint({ pkgDir: installed(), pack: false, strict: true });
    expect(messages).toEqual([]);
  });

  test('the types are not wrong', () => {
    const attw = join(ROOT, 'node_modules/.bin/attw');
    const { status, output } = run(project, attw, tarball, '--profile', 'esm-only', '--format', 'ascii');
    expect(status, output).toBe(0);
    expect(output).toContain('"usernet/testing"');
  });

  test('each entry that is exported is there, types first', () => {
    const { exports } = manifest();
    const names = Object.keys(exports).map((name) => name.replace(/^\./, 'usernet'));
    expect(names.sort()).toEqual([...Object.keys(BROWSER), ...Object.keys(NODE)].sort());
    for (const entry of Object.values(exports)) {
      expect(Object.keys(entry)).toEqual(['types', 'default']);
      for (const path of Object.values(entry)) expect(existsSync(installed(path)), path).toBe(true);
    }
  });
}

function projectTests(): void {
  test.each([
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])('TypeScript takes it, strictly: module %s, resolution %s', (module, resolution) => {
    const how = ['--module', module, '--moduleResolution', resolution];
    expect(typecheck('page.ts', FOR_PAGES, ...how)).toMatchObject({ status: 0, output: '' });
    expect(typecheck('program.ts', FOR_NODE, ...how)).toMatchObject({ status: 0, output: '' });
  });

  // Beside others an entry has what those ask for: a library of TypeScript's, the types of another package.
  test.each([
    ...Object.keys(BROWSER).map((entry) => [entry, FOR_PAGES] as const),
    ...Object.keys(NODE).map((entry) => [entry, FOR_NODE] as const),
  ])('TypeScript takes %s alone', (entry, libraries) => {
    writeFileSync(join(project, 'alone.ts'), `export * from '${entry}';`);
    const result = typecheck('alone.ts', libraries, '--module', 'nodenext');
    expect(result).toMatchObject({ status: 0, output: '' });
  });

  test('each name that the README takes from an entry is there', () => {
    const readme = readFileSync(installed('README.md'), 'utf8');
    const imports = readme.match(/^import .* from 'usernet[^']*';$/gm) ?? [];
    expect(imports.length).toBeGreaterThan(5);
    // A file each: two of them take the same name.
    const files = imports.map((line, index) => [`readme-${index}.ts`, `${line}\nexport {};\n`] as const);
    for (const [name, text] of files) writeFileSync(join(project, name), text);
    const [last, ...others] = files.map(([name]) => name).reverse();
    const result = typecheck(last!, FOR_NODE, '--module', 'nodenext', ...others);
    expect(result).toMatchObject({ status: 0, output: '' });
  });

  test('Node runs it', () => {
    for (const [entry, names] of Object.entries({ ...BROWSER, ...NODE })) {
      const script = `import { ${names.join(', ')} } from '${entry}'; console.log(${names.map((name) => `typeof ${name}`)})`;
      const { output } = run(project, 'node', '--input-type=module', '-e', script);
      expect(output.trim(), entry).toBe(names.map(() => 'function').join(' '));
    }
  });

  test('its program says its version', () => {
    const { output } = run(project, 'node', installed(manifest().bin.usernet), '--version');
    expect(output).toBe(`usernet ${packed.version}\n`);
  });
}
