// The text of a filter as a list of words and signs, and the error that shows one of them.

/** Longest text of a filter; some 300 addresses. */
export const MAX_FILTER_LEN = 8192;

/** A filter that cannot be understood. The message is one line with the word at fault and what is expected. */
export class FilterError extends Error {
  override readonly name = 'FilterError';
}

export type TokenKind = 'word' | 'name' | '(' | ')' | '/' | 'and' | 'or' | 'not' | 'end';

export interface Token {
  /** `name` is a word behind a backslash, which is never taken for a word of the language. */
  readonly kind: TokenKind;
  /** Without the backslash; '' at the end. */
  readonly text: string;
  /** Its first character among those of the filter, from 0. */
  readonly at: number;
}

const SIGNS: ReadonlyMap<string, TokenKind> = new Map([
  ['and', 'and'],
  ['&&', 'and'],
  ['or', 'or'],
  ['||', 'or'],
  ['not', 'not'],
  ['!', 'not'],
  ['(', '('],
  [')', ')'],
  ['/', '/'],
]);

/** A sign, a name behind its backslash, or a word: letters, digits, and what is in addresses, ranges and names. */
const TOKEN = /&&|\|\||[!()/]|\\[^ !()\n\t]+|[A-Za-z0-9.:_-]+/y;
const BLANKS = /[ \t\r\n]*/y;
/** Signs of expressions such as `tcp[tcpflags] & tcp-syn != 0`. */
const ARITHMETIC = '[]<>=&|+*^';

/** The tokens of a text, read one after the other; behind the last one is the end, for ever. */
export class Tokens {
  private readonly tokens: readonly Token[];
  private next = 0;

  /** Throws a FilterError. */
  constructor(text: string) {
    this.tokens = tokenize(text);
  }

  peek(): Token {
    return this.tokens[this.next]!;
  }

  at(kind: TokenKind): boolean {
    return this.peek().kind === kind;
  }

  /** Text of the next token if it is a word, '' otherwise. */
  word(): string {
    const { kind, text } = this.peek();
    return kind === 'word' ? text : '';
  }

  take(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.next++;
    return token;
  }
}

function tokenize(text: string): Token[] {
  if (text.length > MAX_FILTER_LEN) {
    throw new FilterError(`${text.length} characters: expected at most ${MAX_FILTER_LEN}`);
  }
  const tokens: Token[] = [];
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text)?.[0];
    if (found === undefined) throw unexpectedCharacter(text, at);
    const name = found.startsWith('\\');
    const kind = name ? 'name' : (SIGNS.get(found) ?? 'word');
    tokens.push({ kind, text: name ? found.substring(1) : found, at });
    at = skipBlanks(text, at + found.length);
  }
  tokens.push({ kind: 'end', text: '', at });
  return tokens;
}

function skipBlanks(text: string, at: number): number {
  BLANKS.lastIndex = at;
  BLANKS.test(text);
  return BLANKS.lastIndex;
}

function unexpectedCharacter(text: string, at: number): FilterError {
  const character = String.fromCodePoint(text.codePointAt(at)!);
  const token: Token = { kind: 'word', text: character, at };
  return ARITHMETIC.includes(character)
    ? fault(token, 'expressions such as tcp[13] & 2 != 0 and len > 100 are not supported')
    : fault(token, 'no such character in a filter');
}

/** A FilterError about `token`; `expected` says the rest of the sentence. */
export function fault(token: Token, expected: string): FilterError {
  if (token.kind === 'end') return new FilterError(`at the end: ${expected}`);
  return new FilterError(`${shown(token.text)} at character ${token.at + 1}: ${expected}`);
}

/** On one line whatever is in it, and not a long one. */
function shown(text: string): string {
  const short = text.length > 50 ? `${text.substring(0, 50)}...` : text;
  return JSON.stringify(short).replace(
    /[^ -~]/gu,
    (c) => `U+${c.codePointAt(0)!.toString(16).toUpperCase()}`,
  );
}
