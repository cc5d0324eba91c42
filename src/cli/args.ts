// The command line's own words: long options, as `--name value` or `--name=value`, and what follows them. A command is a
// table of these, so that the help text and the parser cannot disagree.

/** Something the user wrote that makes no sense. One line that names the option; exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string;
  /** How help calls the value, `FILE`; a switch has none. */
  readonly value?: string;
  /** May it be given more than once? */
  readonly many?: true;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** For the help text, a paragraph. */
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** How it is called, a line each, without the program's name. */
  readonly usage: readonly string[];
  readonly options: readonly OptionSpec[];
  /** What help says after the options, a paragraph each. */
  readonly notes: readonly string[];
  /** What stands for the words after the options, if they are allowed: `COMMAND`. */
  readonly rest?: string;
  /** Options may follow those words too: they are no command line of somebody else's. */
  readonly mixed?: true;
  /** Resolves to the exit status. */
  run(args: Args): Promise<number>;
}

/** What the user said to one command. */
export class Args {
  readonly rest: readonly string[];
  private readonly values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>, rest: readonly string[]) {
    this.values = values;
    this.rest = rest;
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** The value of an option that may be given once, or null. */
  one(name: string): string | null {
    return this.values.get(name)?.[0] ?? null;
  }

  all(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }
}

/** `words` by the command's table. Throws a UsageError that names what is wrong. */
export function parseArgs(command: Command, words: readonly string[]): Args {
  const values = new Map<string, string[]>();
  const rest: string[] = [];
  let i = 0;
  while (i < words.length) {
    const text = words[i]!;
    if (text === '--') {
      i++;
      break;
    }
    const isWord = !text.startsWith('-') || text === '-';
    if (isWord && command.mixed !== true) break;
    if (isWord) rest.push(text);
    i += isWord ? 1 : 1 + option(command, text, words[i + 1], values);
  }
  rest.push(...words.slice(i));
  if (rest.length > 0 && command.rest === undefined) {
    throw new UsageError(
      `${rest[0]}: ${command.name} takes no such argument; see usernet ${command.name} --help`,
    );
  }
  return new Args(values, rest);
}

/** Reads one option; how many further words it took. */
function option(
  command: Command,
  text: string,
  next: string | undefined,
  values: Map<string, string[]>,
): number {
  const equals = text.indexOf('=');
  const given = equals < 0 ? text : text.slice(0, equals);
  const spec = command.options.find((o) => `--${o.name}` === given);
  if (spec === undefined)
    throw new UsageError(`${given}: no such option; see usernet ${command.name} --help`);
  const before = values.get(spec.name);
  if (before !== undefined && spec.many !== true) throw new UsageError(`${given}: given twice`);
  const value = equals < 0 ? next : text.slice(equals + 1);
  if (spec.value === undefined) {
    if (equals >= 0) throw new UsageError(`${given}: takes no value`);
    values.set(spec.name, ['']);
    return 0;
  }
  if (value === undefined || value === '' || (equals < 0 && value.startsWith('--'))) {
    throw new UsageError(`${given}: needs a value, ${spec.value}`);
  }
  if (spec.choices !== undefined && !spec.choices.includes(value)) {
    throw new UsageError(`${given}: ${JSON.stringify(value)} is not ${spec.choices.join(' or ')}`);
  }
  values.set(spec.name, [...(before ?? []), value]);
  return equals < 0 ? 1 : 0;
}
