// The entry of the command line: picks the command, and turns what went wrong into one line and an exit status.

import { ConfigError } from '../network/config.ts';
import { type Command, parseArgs, UsageError } from './args.ts';
import { endOnBugs, tellBug } from './bugs.ts';
import { commands } from './commands.ts';
import { isOurs } from './errors.ts';
import { commandHelp, fullHelp } from './help.ts';
import { print, say, version, watchOutput } from './output.ts';

const FAILED = 1;
const MISUSED = 2;

async function main(words: readonly string[]): Promise<number> {
  const [first = '', ...rest] = words;
  if (first === '') {
    process.stderr.write(fullHelp(commands));
    return MISUSED;
  }
  if (first === '--version') return printed(`usernet ${version}\n`);
  if (first === 'help' || first === '--help' || first === '-h') return printed(helpFor(rest[0]));
  const command = commandNamed(first);
  const own = rest.slice(0, rest.includes('--') ? rest.indexOf('--') : rest.length);
  if (
    own[0] === '--help' ||
    own[0] === '-h' ||
    ((command.rest === undefined || command.mixed) && own.includes('--help'))
  ) {
    return printed(commandHelp(command));
  }
  return command.run(parseArgs(command, rest));
}

function helpFor(name: string | undefined): string {
  return name === undefined ? fullHelp(commands) : commandHelp(commandNamed(name));
}

function commandNamed(name: string): Command {
  const command = commands.find((c) => c.name === name);
  if (command === undefined) throw new UsageError(`${name}: no such command; see usernet --help`);
  return command;
}

function printed(text: string): number {
  print(text);
  return 0;
}

/** A fault of the user or of the outside is one line; one of ours is told with where it happened. */
function report(error: unknown): number {
  if (!(error instanceof Error) || isOurs(error)) {
    tellBug(error);
    return FAILED;
  }
  say(error.message);
  return error instanceof UsageError || error instanceof ConfigError ? MISUSED : FAILED;
}

watchOutput();
endOnBugs();
process.exitCode = await main(process.argv.slice(2)).catch(report);
