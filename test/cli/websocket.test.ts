import { describe, expect, test } from 'vitest';
import { linkLines, networkLines } from '../../src/cli/banner.ts';
import { End } from '../../src/cli/end.ts';
import { LINK_OPTION } from '../../src/cli/options.ts';
import { Servings } from '../../src/cli/servings.ts';
import { parseConfig } from '../../src/network/config.ts';
import { parseLinkSpec } from '../../src/node/link-spec.ts';
import { webSocketOptionNames } from '../../src/node/websocket-spec.ts';

const lines = (text: string): string[] => linkLines([parseLinkSpec(text)], parseConfig({}), false);

test('--link names every option of a WebSocket', () => {
  for (const name of webSocketOptionNames) expect(LINK_OPTION.help).toContain(name);
});

describe('what is said at the start', () => {
  test('the URL with its token, who may come in, and what they do not reach', () => {
    expect(lines('ws:8086,token=0123456789abcdef')).toEqual([
      'serving WebSocket guests on 127.0.0.1:8086, each on a network of its own; for an emulator in a page:',
      '  ws://127.0.0.1:8086/?token=0123456789abcdef',
      "  pages that may connect: those of this host's own servers",
      "  they do not reach: this host's loopback, private, cgnat, link-local, metadata",
    ]);
  });

  test('without a token that is said', () => {
    expect(lines('ws:8086,token=none,shared,host-loopback=on,deny=none,loss=1%')).toEqual([
      'serving WebSocket guests on 127.0.0.1:8086, on a network that they share; for an emulator in a page:',
      '  ws://127.0.0.1:8086/',
      '  anyone who can connect there is a guest: no token is needed',
      '  pages that may connect: none, as no origin is said',
      '  they do not reach: link-local, metadata',
      '  this link is bad on purpose: loss 1%, seed 1',
    ]);
  });
});

describe('whose guests are on which network', () => {
  const options = { format: 'text', wrap: (link: never) => link, events: {} } as const;
  const servings = (texts: readonly string[], isolated = false) => {
    const specs = texts.map((text) => parseLinkSpec(text));
    const all = new Servings(specs, {}, isolated, options as never);
    return { settings: all.settings, of: specs.map((spec) => all.of(spec)) };
  };

  test('those of pages are never with others', () => {
    const { of, settings } = servings(['unix:/a', 'ws:1', 'tcp:2', 'ws:3,shared']);
    expect(of[0]).toBe(of[2]);
    expect(new Set(of).size).toBe(3);
    expect(settings.hostLoopback).toBe(true);
  });

  test('where there are only pages, the line about the loopback is not there', () => {
    const { settings } = servings(['ws:1']);
    expect(networkLines(settings).join()).not.toContain('loopback');
    expect(servings(['ws:1,host-loopback=on']).settings.hostLoopback).toBe(true);
  });
});

test('a WebSocket link lasts: the program goes on when its guests have gone', async () => {
  const end = new End([parseLinkSpec('ws:1')]);
  end.awaits(Promise.resolve());
  await new Promise((resolve) => setImmediate(resolve));
  expect(end.signal.aborted).toBe(false);
});
