import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/network/config.ts';
import { parseLinkSpec } from '../../src/node/link-spec.ts';

const listening = { server: true, reconnectSeconds: 0 };

describe('where guests are', () => {
  test.each([
    ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock', ...listening }],
    ['unix:relative', { kind: 'unix', path: 'relative', ...listening }],
    ['tap:tap0', { kind: 'tap', name: 'tap0' }],
    ['tap:tap0,loss=1%', { kind: 'tap', name: 'tap0', faults: { loss: 0.01 } }],
    ['unix:/a,,b,,,server=off', { kind: 'unix', path: '/a,b,', server: false, reconnectSeconds: 0 }],
    ['unix:/a:b=c', { kind: 'unix', path: '/a:b=c', ...listening }],
    ['unix:/a,server=off,reconnect=1', { kind: 'unix', path: '/a', server: false, reconnectSeconds: 1 }],
    ['unix:/a,server=on', { kind: 'unix', path: '/a', ...listening }],
    ['tcp:7000', { kind: 'tcp', host: '127.0.0.1', port: 7000, ...listening }],
    ['tcp:0', { kind: 'tcp', host: '127.0.0.1', port: 0, ...listening }],
    ['tcp:192.0.2.1:65535', { kind: 'tcp', host: '192.0.2.1', port: 65535, ...listening }],
    [
      'tcp:vm.example:7000,server=off',
      { kind: 'tcp', host: 'vm.example', port: 7000, server: false, reconnectSeconds: 0 },
    ],
    ['tcp:[::1]:7000', { kind: 'tcp', host: '::1', port: 7000, ...listening }],
    [
      'unix:/a,loss=1%,server=off,rate=10mbit,reconnect=2,queue=8',
      {
        ...{ kind: 'unix', path: '/a', server: false, reconnectSeconds: 2 },
        faults: { loss: 0.01, rate: 1e7, queue: 8 },
      },
    ],
    [
      'tcp:7000,delay=1.5ms',
      { kind: 'tcp', host: '127.0.0.1', port: 7000, ...listening, faults: { delay: 1.5 } },
    ],
    [
      'tcp:7000,seed=7,loss=2%',
      {
        ...{ kind: 'tcp', host: '127.0.0.1', port: 7000, ...listening },
        faults: { seed: 7, loss: 0.02 },
      },
    ],
  ])('%s', (text, spec) => {
    expect(parseLinkSpec(text)).toEqual(spec);
  });

  test.each([
    ['', 'begins with none of unix:, tcp:, ws: and tap:'],
    ['udp:7000', 'begins with none of unix:, tcp:, ws: and tap:'],
    ['/run/a.sock', 'begins with none of unix:, tcp:, ws: and tap:'],
    ['unix:', 'the path is missing'],
    ['tap:', 'the name of the device is missing'],
    ['tap:abcdefghij123456', 'the name of the device is longer than 15 characters'],
    ['tap:a/b', 'the name of the device has characters that no device has'],
    ['tap:\u00e4', 'the name of the device has characters that are not supported: only visible ASCII is'],
    ['tap:tap0,server=off', 'there is no option "server" for a device'],
    [`unix:${'x'.repeat(108)}`, 'the path is longer than 107 bytes'],
    ['unix:a\0b', 'the path has a NUL in it'],
    ['unix:/a,wait=on', 'there is no option "wait"'],
    ['unix:/a,', 'there is no option ""'],
    ['unix:/a,server', 'server=: is neither on nor off'],
    ['unix:/a,server=yes', 'server=yes: is neither on nor off'],
    ['unix:/a,server=on,server=off', 'server= is said twice'],
    ['tcp:7000,server=off,loss=1%,server=off', 'server= is said twice'],
    ['unix:/a,server=off,reconnect=1,reconnect=1', 'reconnect= is said twice'],
    ['tap:all', 'Linux keeps the name all for itself'],
    ['unix:/a,server=off,reconnect=x', 'reconnect=x: is no number of seconds up to 3600'],
    ['unix:/a,server=off,reconnect=3601', 'reconnect=3601: is no number of seconds up to 3600'],
    ['unix:/a,reconnect=1', 'reconnect= needs server=off'],
    ['unix:/a,loss=101%', 'loss=101%: is no percentage from 0% to 100%, such as 1%'],
    ['unix:/a,loss', 'loss: needs a value, as in loss=1%'],
    ['unix:/a,loss=1%,loss=2%', 'loss= is said twice'],
    ['tcp:7000,queue=8', 'queue= needs rate='],
    ['tcp:', 'ends in no port'],
    ['tcp:localhost', 'ends in no port'],
    ['tcp:127.0.0.1:65536', 'ends in no port'],
    ['tcp:0,server=off', 'ends in no port'],
    ['tcp:::1:7000', '"::1" is no host'],
    ['tcp:[1.2.3.4]:7000', '"[1.2.3.4]" is no host'],
    ['tcp::7000', '"" is no host'],
  ])('%s is refused, in one line that names it', (text, reason) => {
    expect(() => parseLinkSpec(text)).toThrow(new ConfigError(text, reason));
  });
});
