import { describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { commandHelp, fullHelp } from '../../src/cli/help.ts';
import { LINK_OPTION, NET_OPTION, PCAP_OPTION } from '../../src/cli/options.ts';
import { faultOptionNames } from '../../src/link/fault-options.ts';
import { userNetOptions } from '../../src/network/qemu-options.ts';
import { pcapOptionNames } from '../../src/node/pcap-spec.ts';

describe('--help is complete', () => {
  test('each command, and each option that it takes', () => {
    const text = fullHelp(commands);
    for (const command of commands) {
      expect(text).toContain(`usernet ${command.name}`);
      const part = commandHelp(command);
      expect(text).toContain(part);
      for (const option of command.options) expect(part).toContain(`--${option.name}`);
    }
    for (const own of ['--version', '--help', 'help [COMMAND]', 'Exit status']) expect(text).toContain(own);
  });

  test('each option says what it is for, and what it takes', () => {
    for (const option of commands.flatMap((c) => c.options)) {
      expect(option.help.length).toBeGreaterThan(0);
      for (const choice of option.choices ?? []) expect(option.value).toContain(choice);
    }
  });

  test('each option that a help text mentions is one that is taken', () => {
    for (const command of commands) {
      const taken = new Set([...command.options.map((o) => `--${o.name}`), '--help']);
      const said = commandHelp(command).match(/(?<=^|[\s[])--[a-z][a-z-]*/g) ?? [];
      for (const name of said) expect(taken).toContain(name);
    }
  });

  test('--net names every word of the option string', () => {
    const text = NET_OPTION.help;
    for (const name of userNetOptions) expect(text).toContain(`${name}=`);
  });

  test('--link names every way in which a link can be bad', () => {
    for (const name of faultOptionNames) expect(LINK_OPTION.help).toContain(`${name}=`);
  });

  test('--pcap names every option of a capture', () => {
    for (const name of pcapOptionNames) expect(PCAP_OPTION.help).toContain(`${name}=`);
  });

  test('lines fit a screen', () => {
    for (const line of fullHelp(commands).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
