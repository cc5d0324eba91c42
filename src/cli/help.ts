// Help texts, made from the tables that the parser reads, for 80 columns.

import type { Command, OptionSpec } from './args.ts';

const WIDTH = 80;

const INTRO = [
  'usernet: a virtual network for emulators and virtual machines, in user space.',
  'Guests get an address, a gateway and a name service, and reach what this host',
  'reaches. No privileges needed.',
];

const ENDING =
  'Exit status: 0 when all went well, 1 for a failure while running, 2 for a command line that makes no sense.';

/** `usernet --help`: everything there is. */
export function fullHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((c) => c.name.length), 'help [COMMAND]'.length);
  const line = (name: string, summary: string): string => `  usernet ${name.padEnd(width)}  ${summary}`;
  const list = commands.map((c) => line(c.name, c.summary));
  const own = [
    line('help [COMMAND]', 'this text, or the part about COMMAND'),
    line('--version', 'the version'),
  ];
  const parts = commands.map((c) => commandHelp(c));
  return [...INTRO, '', ...list, ...own, '', ...parts, ...wrap(ENDING, 0), ''].join('\n');
}

/** `usernet COMMAND --help`. */
export function commandHelp(command: Command): string {
  const [first = '', ...more] = command.usage;
  const usage = [`Usage: usernet ${first}`, ...more.map((line) => `       ${line}`)];
  const options = [...command.options, HELP].flatMap(optionLines);
  const notes = command.notes.flatMap((note) => ['', ...wrap(note, 0)]);
  return [...usage, '', ...options, ...notes, ''].join('\n');
}

const HELP: OptionSpec = { name: 'help', help: 'This text.' };

function optionLines(spec: OptionSpec): string[] {
  const name = spec.value === undefined ? `--${spec.name}` : `--${spec.name} ${spec.value}`;
  const help = spec.many === true ? `${spec.help} May be given more than once.` : spec.help;
  return [`  ${name}`, ...wrap(help, 8)];
}

/** `text` in lines of at most WIDTH columns, `indent` of them blank. A longer word has a line of its own. */
function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((l) => ' '.repeat(indent) + l);
}
