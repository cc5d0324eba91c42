// Branches of a bundle, as istanbul counts them (c8 and vitest too, when they read V8's counts): both arms of each `if`,
// the one that is not written included, both of each conditional expression, each operand of && || and ??, each case of
// a switch. Default values are left out: V8 counts them with their function.

import { parseSync } from 'oxc-parser';

export interface Branch {
  /** Path of the source from the root. */
  readonly file: string;
  /** The first line of what branches, as the bundler writes it, and which of its arms this is, from 0. */
  readonly text: string;
  readonly arm: number;
  /** Where the arm begins in the bundle. Of an `else` that is not written: where the `if` does, and where its arm does. */
  readonly start: number;
  readonly insteadOf: number;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const NONE = -1;

/** Those of the sources under `folders`. esbuild says in a comment from which source what follows is. */
export function branchesOf(bundle: string, folders: readonly string[]): Branch[] {
  const places = [...bundle.matchAll(/^\/\/ (\S+\.ts)$/gm)].map((match) => [match.index, match[1]!] as const);
  const fileAt = (offset: number): string => {
    let file = '';
    for (const [at, name] of places) if (at <= offset) file = name;
    return file;
  };
  const { program, errors } = parseSync('bundle.mjs', bundle);
  if (errors.length > 0) throw new Error(errors[0]!.message);
  const branches: Branch[] = [];
  const add = (of: Node, arm: number, start: number, insteadOf = NONE): void => {
    const file = fileAt(of.start);
    if (!folders.some((folder) => file.startsWith(folder))) return;
    const text = bundle.slice(of.start, of.end).split('\n', 1)[0]!.trim();
    branches.push({ file, text, arm, start, insteadOf });
  };
  walk(program as unknown as Node, null, (node, parent) => {
    if (node.type === 'IfStatement') {
      const [then, other] = [node['consequent'] as Node, node['alternate'] as Node | null];
      add(node, 0, then.start);
      if (other === null) add(node, 1, node.start, then.start);
      else add(node, 1, other.start);
    } else if (node.type === 'ConditionalExpression') {
      add(node, 0, (node['consequent'] as Node).start);
      add(node, 1, (node['alternate'] as Node).start);
    } else if (node.type === 'LogicalExpression' && parent?.type !== 'LogicalExpression') {
      for (const [i, operand] of operandsOf(node).entries()) add(node, i, operand.start);
    } else if (node.type === 'SwitchCase') add(node, 0, node.start);
  });
  return branches;
}

function operandsOf(node: Node): Node[] {
  if (node.type !== 'LogicalExpression') return [node];
  return [...operandsOf(node['left'] as Node), ...operandsOf(node['right'] as Node)];
}

function walk(node: Node, parent: Node | null, visit: (node: Node, parent: Node | null) => void): void {
  visit(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === 'object' && child !== null && typeof (child as Node).type === 'string')
        walk(child as Node, node, visit);
    }
  }
}
