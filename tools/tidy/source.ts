// One source file, parsed once: what every rule of tidy looks at. oxc-parser gives an ESTree with TypeScript nodes.

import { parseSync } from 'oxc-parser';

/** A node of the tree, as far as the rules care. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Something a rule has to say about a line. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export class Source {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly program: Node;
  readonly comments: readonly { readonly value: string; readonly start: number }[];
  /** What the parser could not read; the other rules are then not worth asking. */
  readonly errors: readonly string[];
  private readonly lineStarts: number[] = [0];

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    const parsed = parseSync(path, text);
    this.program = parsed.program as unknown as Node;
    this.comments = parsed.comments;
    this.errors = parsed.errors.map((error) => error.message);
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.lineStarts.push(at + 1);
  }

  /** Lines of text; a newline at the end does not begin another. */
  get lines(): number {
    return this.lineStarts.length - (this.text.endsWith('\n') ? 1 : 0);
  }

  /** 1 for the first line. */
  lineOf(offset: number): number {
    let low = 0;
    let high = this.lineStarts.length;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (this.lineStarts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  }

  finding(offset: number, message: string): Finding {
    return { path: this.path, line: this.lineOf(offset), message };
  }
}

/** Calls `visit` for every node below `node` and for itself, parents first; `parents` ends with the direct one. */
export function walk(
  node: Node,
  visit: (node: Node, parents: readonly Node[]) => void,
  parents: Node[] = [],
): void {
  visit(node, parents);
  parents.push(node);
  for (const key in node) {
    const value = node[key];
    if (Array.isArray(value)) for (const item of value) if (isNode(item)) walk(item, visit, parents);
    if (isNode(value)) walk(value, visit, parents);
  }
  parents.pop();
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

/** The name of an identifier node, else ''. */
export function nameOf(node: unknown): string {
  return isNode(node) && node.type === 'Identifier' ? String(node['name']) : '';
}
