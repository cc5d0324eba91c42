// The played host is what other tests rest on, so its own promises are tested.

import { expect, test } from 'vitest';
import { type Endpoint, ipv4Addr } from '../../src/base/addr.ts';
import { Account } from '../../src/base/arena.ts';
import type { Region } from '../../src/base/region.ts';
import type { HostError, HostStreamEvents } from '../../src/host/host-network.ts';
import { PlayedHost } from '../../src/host/played-host.ts';
import { FakePorts } from '../support/fake-ports.ts';

const REMOTE: Endpoint = { addr: ipv4Addr(0x7f000001), port: 80 };

class Reader implements HostStreamEvents {
  readonly calls: string[] = [];
  text = '';
  place = { off: 0, len: 0 };
  more = true;
  closed: HostError | null | undefined;
  private readonly bytes: Uint8Array;

  constructor(ports: FakePorts) {
    this.bytes = ports.arena.memory.bytes;
  }

  onOpen(): void {
    this.calls.push('open');
  }

  reserveRead(region: Region): void {
    this.calls.push('reserve');
    region.off = this.place.off;
    region.len = this.place.len;
  }

  onRead(off: number, len: number): boolean {
    this.calls.push(`read@${off === this.place.off ? 'place' : 'pad'}`);
    this.text += String.fromCharCode(...this.bytes.subarray(off, off + len));
    return this.more;
  }

  onWritten(): void {
    this.calls.push('written');
  }

  onEnd(): void {
    this.calls.push('end');
  }

  onClose(error: HostError | null): void {
    this.calls.push('close');
    this.closed = error;
  }
}

function setUp() {
  const ports = new FakePorts();
  const host = new PlayedHost();
  host.start(ports);
  const reader = new Reader(ports);
  const stream = host.connectTcp(REMOTE, reader);
  return { ports, host, reader, stream, run: () => ports.clock.runSoon() };
}

test('nothing is delivered from inside a call; data waits for resume()', () => {
  const { reader, stream, run } = setUp();
  stream.open().gives('abc');
  expect(reader.calls).toEqual(['reserve']);
  run();
  expect(reader.calls).toEqual(['reserve', 'open']);
  stream.resume();
  run();
  expect(reader.text).toBe('abc');
});

test('false from onRead stops it; what was reserved before is where the next read lands', () => {
  const { ports, reader, stream, run } = setUp();
  const off = ports.arena.take(4096, new Account());
  reader.more = false;
  stream.open().gives('abc').gives('def');
  stream.resume();
  reader.place = { off, len: 2 };
  run();
  expect(reader.text).toBe('abc');
  reader.place = { off: off + 2, len: 100 };
  reader.more = true;
  stream.resume();
  run();
  expect(reader.calls.filter((call) => call.startsWith('read'))).toEqual([
    'read@pad',
    'read@pad',
    'read@place',
  ]);
  expect(reader.text).toBe('abcdef');
});

test('half-close: each side ends in its own time, and then it is closed', () => {
  const { ports, reader, stream, run } = setUp();
  stream.open().gives('x').ends();
  stream.resume();
  run();
  expect(reader.calls.at(-1)).toBe('end');
  ports.arena.memory.bytes.set([0x68, 0x69], 64);
  expect(stream.write(64, 2)).toBe(true);
  expect(stream.text).toBe('hi');
  stream.end();
  run();
  expect(reader.closed).toBeNull();
});

test('a held write is read when it is let go', () => {
  const { ports, reader, stream, run } = setUp();
  stream.open();
  run();
  stream.holdWrites = true;
  expect(stream.write(64, 1)).toBe(false);
  ports.arena.memory.bytes[64] = 0x21;
  stream.letGo();
  run();
  expect(stream.text).toBe('!');
  expect(reader.calls.at(-1)).toBe('written');
});

test('refused, reset by the remote, reset by us: onClose comes once and says which', () => {
  const refused = setUp();
  refused.stream.fail('refused');
  refused.run();
  expect(refused.reader.closed).toBe('refused');
  const remote = setUp();
  remote.stream.open().gives('lost');
  remote.stream.fail('reset');
  remote.run();
  expect([remote.reader.closed, remote.reader.text]).toEqual(['reset', '']);
  const ours = setUp();
  ours.stream.open();
  ours.stream.reset();
  ours.stream.fail('reset');
  ours.run();
  expect(ours.reader.calls).toEqual(['reserve', 'close']);
  expect(ours.reader.closed).toBeNull();
  expect(ours.host.openStreams).toEqual([]);
});

test('a listener hands over open streams; null resets them', async () => {
  const { ports, host, run } = setUp();
  const reader = new Reader(ports);
  let take = true;
  const listener = await host.listenTcp(REMOTE, (stream) => {
    if (take) stream.resume();
    return take ? reader : null;
  });
  const stream = host.connects(REMOTE, { ...REMOTE, port: 999 })!;
  stream.gives('hello');
  run();
  expect(reader.text).toBe('hello');
  take = false;
  expect(host.connects(REMOTE, REMOTE)!.wasReset).toBe(true);
  listener.close();
  expect(host.connects(REMOTE, REMOTE)).toBeNull();
  host.bindError = 'taken';
  await expect(host.bindUdp(REMOTE, { onDatagram() {}, onError() {} })).rejects.toThrow('taken');
});
