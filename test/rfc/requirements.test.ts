// Checks requirements.json: every numbered requirement of RFC 9293 and what we rely on of the RFCs beside it, each with
// the tests that show it or a reason why none does, and the known failures of other networks with the tests that we do
// not have them. A test is named as vitest prints it, file > describe > test, placeholders of test.each as they are
// written; files are parsed, not run.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isNode, type Node, Source } from '../../tools/tidy/source.ts';

interface Entry {
  readonly rfc: number;
  /** The RFC's own number, or the section and a letter. */
  readonly id: string;
  readonly section: string;
  /** For an id that does not say it; 'text' where the RFC uses no key word. */
  readonly level?: string;
  readonly says: string;
  readonly shown?: readonly string[];
  /** Why no test shows it. */
  readonly not?: string;
  /** Where we do otherwise than a SHOULD, or than a MUST, and why. */
  readonly deviates?: string;
  /** Its tests are still to be written. */
  readonly pending?: boolean;
}

interface Failure {
  readonly says: string;
  readonly shown: readonly string[];
}

const { requirements, knownFailures } = JSON.parse(
  readFileSync(new URL('requirements.json', import.meta.url), 'utf8'),
) as { readonly requirements: readonly Entry[]; readonly knownFailures: readonly Failure[] };

/** RFC 9293 appendix B, table 8: 1 to 69, 1 to 31, 1 to 18 and 1, without a gap. */
const NUMBERED: readonly string[] = [
  ...numbers('MUST', 69),
  ...numbers('SHLD', 31),
  ...numbers('MAY', 18),
  ...numbers('REC', 1),
];
/**
 * The others, and how many entries each has, so that none gets lost. They have no numbers of their own: that none of their
 * MUSTs is missing is read, not checked.
 */
const OTHERS: Readonly<Record<number, number>> = {
  ...{
    1122: 5,
    2018: 16,
    2883: 6,
    3042: 3,
    3522: 1,
    3708: 1,
    4015: 1,
    5681: 23,
    5961: 6,
    6191: 1,
    6298: 13,
    6528: 2,
    6582: 3,
    6675: 14,
  },
  ...{ 6691: 2, 6928: 5, 7323: 26, 8985: 20, 9438: 11, 9937: 3 },
};
const KNOWN_FAILURES = 22;
const LEVELS = ['MUST', 'MUST NOT', 'SHOULD', 'SHOULD NOT', 'RECOMMENDED', 'MAY', 'text'];
/** Tests that are not run, or must fail. */
const IDLE = ['skip', 'todo', 'fails'];
/** What still waits for its tests. */
const PENDING: readonly string[] = [];
/** Fewer characters are no reason. */
const SHORTEST_REASON = 25;

function numbers(kind: string, last: number): string[] {
  return Array.from({ length: last }, (_, i) => `${kind}-${i + 1}`);
}

function nameOf({ rfc, id }: Entry): string {
  return `RFC ${rfc} ${id}`;
}

const parsed = new Map<string, Set<string>>();

/** The names of all tests of a file. */
function testsOf(path: string): Set<string> {
  const known = parsed.get(path);
  if (known !== undefined) return known;
  const names = new Set<string>();
  const url = new URL(`../../${path}`, import.meta.url);
  const source = new Source(path, readFileSync(url, 'utf8'));
  expect(source.errors, path).toEqual([]);
  collect(source.program, [], names);
  parsed.set(path, names);
  return names;
}

/** Adds the tests below `node`, each behind the names of the describes around it. */
function collect(node: Node, around: readonly string[], into: Set<string>): void {
  let inside = around;
  if (node.type === 'CallExpression') {
    const [title, ...rest] = node['arguments'] as readonly Node[];
    const kind = rest.length > 0 ? rootName(node['callee']) : '';
    const text = title === undefined ? null : textOf(title);
    if (text !== null && kind === 'test') into.add([...around, text].join(' > '));
    if (text !== null && kind === 'describe') inside = [...around, text];
  }
  for (const key in node) {
    const value = node[key];
    if (Array.isArray(value)) for (const item of value) if (isNode(item)) collect(item, inside, into);
    if (isNode(value)) collect(value, inside, into);
  }
}

/** `test` for test.each(...), test.skipIf(...) and test itself; nothing for one that shows nothing. */
function rootName(callee: unknown): string {
  let at = callee;
  while (isNode(at) && at.type !== 'Identifier') {
    const { property } = at as { readonly property?: { readonly name?: string } };
    if (property?.name !== undefined && IDLE.includes(property.name)) return '';
    at = at['object'] ?? at['callee'] ?? at['tag'];
  }
  return isNode(at) ? String(at['name']) : '';
}

/** A string as it is written; what a template puts in is `${}`. */
function textOf(node: Node): string | null {
  if (node.type === 'Literal') return typeof node['value'] === 'string' ? node['value'] : null;
  if (node.type !== 'TemplateLiteral') return null;
  const parts = node['quasis'] as readonly { readonly value: { readonly cooked: string } }[];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what stands for the place in a template.
  return parts.map(({ value }) => value.cooked).join('${}');
}

/** The names among `shown` that no file has. */
function dead(shown: readonly string[]): string[] {
  return shown.filter((name) => {
    const [path = '', ...title] = name.split(' > ');
    return !testsOf(path).has(title.join(' > '));
  });
}

function duplicates(names: readonly string[]): string[] {
  return names.filter((name, i) => names.indexOf(name) !== i);
}

describe('requirements.json', () => {
  test('has every number of RFC 9293 appendix B, no other, and each once', () => {
    const ids = requirements.filter(({ rfc }) => rfc === 9293).map(({ id }) => id);
    expect(NUMBERED.filter((id) => !ids.includes(id))).toEqual([]);
    expect(ids.filter((id) => !NUMBERED.includes(id))).toEqual([]);
    expect(duplicates(requirements.map(nameOf))).toEqual([]);
  });

  test('has the RFCs that we build on, and says of what is not numbered how strong it is', () => {
    const others = requirements.filter(({ rfc }) => rfc !== 9293);
    const counts: Record<number, number> = {};
    for (const { rfc } of others) counts[rfc] = (counts[rfc] ?? 0) + 1;
    expect(counts).toEqual(OTHERS);
    expect(others.filter(({ level = '' }) => !LEVELS.includes(level)).map(nameOf)).toEqual([]);
    expect(requirements.filter(({ rfc, level }) => rfc === 9293 && level !== undefined)).toEqual([]);
  });

  test('each says where it stands and what it asks for', () => {
    for (const entry of requirements) {
      expect(entry.section, nameOf(entry)).toMatch(/^\d+(\.\d+)*$/);
      expect(entry.says.length, nameOf(entry)).toBeGreaterThan(10);
    }
  });

  test('each has tests or a reason, not both; what waits for tests is known', () => {
    const waiting = requirements.filter(({ pending }) => pending === true);
    expect(waiting.map(nameOf).sort()).toEqual([...PENDING].sort());
    expect(waiting.filter(({ shown, not }) => shown?.length !== 0 || not !== undefined).map(nameOf)).toEqual(
      [],
    );
    for (const entry of requirements.filter((one) => !waiting.includes(one))) {
      const { shown = [], not } = entry;
      expect([shown.length > 0, not !== undefined].filter(Boolean), nameOf(entry)).toHaveLength(1);
      if (not !== undefined) expect(entry.shown, nameOf(entry)).toBeUndefined();
    }
  });

  test('no reason is a mere word', () => {
    for (const entry of requirements)
      for (const reason of [entry.not, entry.deviates])
        if (reason !== undefined)
          expect(reason.length, nameOf(entry)).toBeGreaterThanOrEqual(SHORTEST_REASON);
  });

  test('every test that is named is there, under that name', () => {
    expect(requirements.flatMap(({ shown = [] }) => dead(shown))).toEqual([]);
    for (const entry of requirements) expect(duplicates(entry.shown ?? []), nameOf(entry)).toEqual([]);
  });
});

describe('known failures of other networks', () => {
  test('each has tests that are there', () => {
    expect(knownFailures.length).toBe(KNOWN_FAILURES);
    expect(duplicates(knownFailures.map(({ says }) => says))).toEqual([]);
    for (const { says, shown } of knownFailures) expect(shown.length, says).toBeGreaterThan(0);
    expect(knownFailures.flatMap(({ shown }) => dead(shown))).toEqual([]);
  });
});

describe('the check itself', () => {
  test('finds tests below describes, of tables and of templates, and nothing else', () => {
    const text = [
      "describe('a', () => {",
      "  describe.each([1])('b %i', () => test('c', () => {}));",
      "  test.skipIf(x)('d', () => {});",
      '});',
      "test.skip('x', () => {}); describe.skip('y', () => test.todo('z', () => {}));",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template in the text that is parsed.
      'for (const x of y) test.each(x)(`e ${x} f`, () => {});',
      "expect('g', () => {}); test.each(['h', 'i']); other('j', () => {});",
    ].join('\n');
    const names = new Set<string>();
    collect(new Source('x.test.ts', text).program, [], names);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what stands for the place in a template.
    expect([...names]).toEqual(['a > b %i > c', 'a > d', 'e ${} f']);
  });

  test('a name that is not there is dead, also a part of one', () => {
    const known =
      'test/rfc/requirements.test.ts > the check itself > a name that is not there is dead, also a part of one';
    expect(dead([known, `${known}!`, known.slice(0, -1)])).toEqual([`${known}!`, known.slice(0, -1)]);
  });
});
