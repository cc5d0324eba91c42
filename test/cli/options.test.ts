import { describe, expect, test } from 'vitest';
import { type Args, parseArgs } from '../../src/cli/args.ts';
import { withResolvers } from '../../src/cli/options.ts';
import { run } from '../../src/cli/run.ts';

const args = (...words: string[]): Args => parseArgs(run, words);

describe('--resolver', () => {
  test('each one is a resolver of the network, what else is said of names stays', () => {
    const config = { dns: { address: '10.0.2.9' } };
    const said = args('--resolver', '192.0.2.53', '--resolver', '127.0.0.1:5353');
    expect(withResolvers(config, said)).toEqual({
      dns: { address: '10.0.2.9', resolvers: ['192.0.2.53', '127.0.0.1:5353'] },
    });
  });

  test('without it the config is as it was', () => {
    const config = { mtu: 9000 };
    expect(withResolvers(config, args())).toBe(config);
  });

  test.each([
    ['foo', '--resolver: "foo" is not an IPv4 address'],
    ['10.0.2.3', "--resolver: 10.0.2.3 is in the guests' network 10.0.2.0/24, not in the host's world"],
  ])('%s: one line that names the option', (text, line) => {
    expect(() => withResolvers({}, args('--resolver', text))).toThrow(line);
  });

  test('a network without a name service takes none', () => {
    expect(() => withResolvers({ dns: false }, args('--resolver', '192.0.2.53'))).toThrow(
      '--resolver: this network has no name service',
    );
  });
});
