import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/network/config.ts';
import { parseLinkSpec } from '../../src/node/link-spec.ts';
import { DENIED_TO_PAGES, pageGuestConfig, webSocketUrl } from '../../src/node/websocket-spec.ts';

const ws = { kind: 'ws', host: '127.0.0.1', port: 8086 };

describe('ws:', () => {
  test.each([
    ['ws:8086', ws],
    ['ws:0', { ...ws, port: 0 }],
    ['ws:[::1]:8086', { ...ws, host: '::1' }],
    ['ws:8086,token=none', { ...ws, token: null }],
    ['ws:8086,token=0123456789abcdef', { ...ws, token: '0123456789abcdef' }],
    [
      'ws:8086,origin=https://a.example,origin=http://localhost:80/',
      {
        ...ws,
        origins: ['https://a.example', 'http://localhost'],
      },
    ],
    ['ws:8086,origin=HTTPS://A.Example:443', { ...ws, origins: ['https://a.example'] }],
    ['ws:8086,origin=vscode-webview://AbC', { ...ws, origins: ['vscode-webview://abc'] }],
    ['ws:8086,origin=*', { ...ws, origins: ['*'] }],
    ['ws:8086,host=relay.example,host=b', { ...ws, hosts: ['relay.example', 'b'] }],
    ['ws:8086,format=length-prefixed,shared', { ...ws, format: 'length-prefixed', shared: true }],
    ['ws:8086,shared=off,clients=3', { ...ws, shared: false, clients: 3 }],
    ['ws:8086,host-loopback=on,deny=none', { ...ws, hostLoopback: true, deny: [] }],
    ['ws:8086,deny=private,deny=192.0.2.0/24', { ...ws, deny: ['private', '192.0.2.0/24'] }],
    ['ws:8086,loss=1%', { ...ws, faults: { loss: 0.01 } }],
  ])('%s', (text, spec) => {
    expect(parseLinkSpec(text)).toEqual(spec);
  });

  test.each([
    ['ws:', 'ends in no port'],
    ['ws:8086,server=off', 'there is no option "server"'],
    ['ws:8086,toString', 'there is no option "toString"'],
    ['ws:8086,token=short', 'token= is not 16 to 128 letters, digits, - and _, and not none'],
    ['ws:8086,token=0123456789abcde/', 'token= is not 16 to 128 letters, digits, - and _, and not none'],
    ['ws:8086,token=none,token=none', 'token= is said twice'],
    ['ws:8086,origin=a.example', 'origin=a.example: is not like https://example.org, without a path'],
    ['ws:8086,origin=https://a/b', 'origin=https://a/b: is not like https://example.org, without a path'],
    ['ws:8086,origin=*,token=none', 'origin=* with token=none would let every page in'],
    ['ws:8086,token=none,origin=null', 'origin=null with token=none would let every page in'],
    ['ws:8086,host=a:1', 'host=a:1: is no name without a port'],
    ['ws:8086,format=raw', 'format=raw: is neither frame nor length-prefixed'],
    ['ws:8086,clients=0', 'clients= is no number from 1 to 1024'],
    ['ws:8086,clients=x', 'clients= is no number from 1 to 1024'],
    ['ws:8086,shared=yes', 'shared=yes: is neither on nor off'],
    ['ws:8086,deny=10.0.0.1/8', 'deny=10.0.0.1/8 has host bits; the network is 10.0.0.0/8'],
    ['ws:8086,loss=200%', 'loss=200%: is no percentage from 0% to 100%, such as 1%'],
  ])('%s is refused, in one line that names it', (text, reason) => {
    expect(() => parseLinkSpec(text)).toThrow(new ConfigError(text, reason));
  });
});

test('what pages reach less than others, unless somebody says otherwise', () => {
  expect(pageGuestConfig({ mtu: 9000 })).toEqual({ mtu: 9000, hostLoopback: false, deny: DENIED_TO_PAGES });
  expect(pageGuestConfig({ hostLoopback: true, deny: ['cgnat'] })).toEqual({
    hostLoopback: true,
    deny: ['cgnat'],
  });
  const link = { hostLoopback: false, deny: [] };
  expect(pageGuestConfig({ hostLoopback: true, deny: ['cgnat'] }, link)).toEqual(link);
  expect(DENIED_TO_PAGES).toEqual(['private', 'cgnat', 'link-local', 'metadata']);
});

test.each([
  [{ host: '127.0.0.1', token: 'abc' }, 'ws://127.0.0.1:8086/?token=abc'],
  [{ host: '::1', token: null }, 'ws://[::1]:8086/'],
  [{ host: '0.0.0.0', token: 'abc' }, 'ws://localhost:8086/?token=abc'],
])('the URL of %j', (spec, url) => {
  expect(webSocketUrl({ kind: 'ws', port: 8086, ...spec })).toBe(url);
});
