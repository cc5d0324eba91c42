// What a file may contain, apart from whom it imports: globals, sizes, words.

import { importsOf, isWebSide, partOf } from './layers.ts';
import { type Finding, isNode, type Node, nameOf, type Source, walk } from './source.ts';

/** Time, randomness, IO and text codecs reach the core through its interfaces, or it would not run in a browser. */
const CORE_BANS: Readonly<Record<string, string>> = {
  Date: 'use the Clock',
  setTimeout: 'use Timers',
  setInterval: 'use Timers',
  setImmediate: 'use Clock.soon',
  queueMicrotask: 'use Clock.soon',
  performance: 'use the Clock',
  console: 'use an event of the network',
  Buffer: 'use Uint8Array and the arena',
  process: 'there is no process in a browser',
  TextEncoder: 'use wire/ascii.ts',
  TextDecoder: 'use wire/ascii.ts',
  crypto: 'use Random',
};

/** Where bytes are handled: slice() copies a Uint8Array and aliases a Buffer. */
const BYTE_PARTS = ['wire', 'host', 'tcp', 'ip', 'nat', 'link', 'switch'];

const SLEEPS = ['setTimeout', 'setInterval'];
const TEST_FUNCTIONS = ['describe', 'test', 'it', 'bench'];

const MAX_FILE_LINES = 400;
const MAX_TEST_FILE_LINES = 600;
const MAX_FUNCTION_LINES = 70;

const MACHINE_PATH = /(?<![\w.)}/-])\/(work|root|home)(?![\w.-])/;
const REGISTRY = /\bregistry\.[\w.-]*\.(org|com|net|io|cn)\b|\bnpmjs\.(org|com)\b|\b\w+\.debian\.org\b/i;
const UNFINISHED = /\b(TODO|FIXME|XXX)\b/;

/** The globals that the core must do without, and slice() where bytes are handled. */
export function checkCoreGlobals(source: Source): Finding[] {
  if (isWebSide(source.path)) return [];
  const own = declaredNames(source);
  const bytes = BYTE_PARTS.includes(partOf(source.path));
  const findings: Finding[] = [];
  walk(source.program, (node, parents) => {
    const name = nameOf(node);
    if (Object.hasOwn(CORE_BANS, name) && !own.has(name) && isReference(node, parents)) {
      findings.push(source.finding(node.start, `${name} is banned in the core: ${CORE_BANS[name]}`));
    }
    if (node.type !== 'MemberExpression') return;
    const property = nameOf(node['property']);
    if (property === 'random' && nameOf(node['object']) === 'Math') {
      findings.push(source.finding(node.start, 'Math.random is banned in the core: use Random'));
    }
    if (bytes && property === 'slice' && parents.at(-1)?.['callee'] === node) {
      const instead = 'subarray() for bytes, substring() for text';
      findings.push(source.finding(node.start, `.slice() is banned in ${partOf(source.path)}/: ${instead}`));
    }
  });
  return findings;
}

/** Names that the file declares anywhere: a parameter called `process` is not Node's. */
function declaredNames(source: Source): Set<string> {
  const names = new Set<string>();
  walk(source.program, (node) => {
    if (/^(VariableDeclarator|FunctionDeclaration|ClassDeclaration)$/.test(node.type))
      collect(node['id'], names);
    const params = node['params'];
    if (Array.isArray(params)) for (const param of params) collect(param, names);
    if (/^Import.*Specifier$/.test(node.type)) collect(node['local'], names);
  });
  return names;
}

function collect(pattern: unknown, names: Set<string>): void {
  if (!isNode(pattern)) return;
  if (pattern.type === 'Identifier') names.add(nameOf(pattern));
  else if (pattern.type !== 'TSTypeAnnotation') {
    for (const key of ['left', 'argument', 'value', 'parameter']) collect(pattern[key], names);
    for (const key of ['elements', 'properties']) {
      const list = pattern[key];
      if (Array.isArray(list)) for (const item of list) collect(item, names);
    }
  }
}

/** Does the identifier stand for a value or type, and not for the name of a property? */
function isReference(node: Node, parents: readonly Node[]): boolean {
  const parent = parents.at(-1);
  if (parent === undefined || parent['computed'] === true) return true;
  if (parent.type === 'MemberExpression') return parent['property'] !== node;
  if (/^TSQualifiedName$/.test(parent.type)) return parent['right'] !== node;
  return parent['key'] !== node;
}

/** No file and no function longer than one can read. */
export function checkSizes(source: Source): Finding[] {
  const isTest = source.path.startsWith('test/');
  const most = isTest ? MAX_TEST_FILE_LINES : MAX_FILE_LINES;
  const findings: Finding[] = [];
  if (source.lines > most) {
    findings.push(source.finding(0, `${source.lines} lines, ${most} are the limit of a file`));
  }
  walk(source.program, (node, parents) => {
    if (!/^(Function(Declaration|Expression)|ArrowFunctionExpression|StaticBlock)$/.test(node.type)) return;
    if (isTest && isDescribe(parents.at(-1), node)) return;
    const lines = source.lineOf(node.end - 1) - source.lineOf(node.start) + 1;
    if (lines <= MAX_FUNCTION_LINES) return;
    const limit = `${MAX_FUNCTION_LINES} are the limit of a function`;
    findings.push(source.finding(node.start, `${functionName(node, parents)} has ${lines} lines, ${limit}`));
  });
  return findings;
}

function functionName(node: Node, parents: readonly Node[]): string {
  const parent = parents.at(-1);
  return nameOf(node['id']) || nameOf(parent?.['key']) || nameOf(parent?.['id']) || 'a function';
}

/** Is `node` the body of describe(), describe.each()(), describe.skipIf()() and the like? */
function isDescribe(call: Node | undefined, node: Node): boolean {
  const args = call?.['arguments'];
  return Array.isArray(args) && args.includes(node) && rootName(call?.['callee']) === 'describe';
}

function rootName(callee: unknown): string {
  let at = callee;
  while (isNode(at) && at.type !== 'Identifier') at = at['object'] ?? at['callee'] ?? at['tag'];
  return nameOf(at);
}

/** Tests: all of them run, and none of them sleeps. Real components are waited for in e2e/ and through support/. */
export function checkTests(source: Source): Finding[] {
  const findings: Finding[] = [];
  const maySleep = /^test\/(e2e|support)\//.test(source.path);
  walk(source.program, (node, parents) => {
    if (node.type === 'MemberExpression' && nameOf(node['property']) === 'only') {
      const root = rootName(node['object']);
      if (TEST_FUNCTIONS.includes(root)) {
        findings.push(source.finding(node.start, `${root}.only leaves the other tests out`));
      }
    }
    if (!maySleep && SLEEPS.includes(nameOf(node)) && isReference(node, parents)) {
      const instead = 'move time with ManualClock, or wait for the event';
      findings.push(source.finding(node.start, `tests do not sleep (${nameOf(node)}): ${instead}`));
    }
  });
  for (const { from, start } of importsOf(source)) {
    if (!maySleep && /^(node:)?timers/.test(from)) {
      findings.push(source.finding(start, `tests do not sleep (${from}): move time with ManualClock`));
    }
  }
  return findings;
}

/** A promise in a comment says which issue keeps it. */
export function checkComments(source: Source): Finding[] {
  return source.comments
    .filter(({ value }) => UNFINISHED.test(value) && !/#\d+/.test(value))
    .map(({ value, start }) => {
      return source.finding(start, `${UNFINISHED.exec(value)![0]} without the number of an issue (#12)`);
    });
}

/** For every text file: nothing of the machine it was written on. */
export function checkText(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const machine = MACHINE_PATH.exec(line);
    if (machine) findings.push({ path, line: i + 1, message: `a path of one machine: ${machine[0]}` });
    const host = REGISTRY.exec(line);
    if (host)
      findings.push({ path, line: i + 1, message: `the host name of a package registry: ${host[0]}` });
  }
  return findings;
}
