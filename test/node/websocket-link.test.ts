import { afterEach, describe, expect, test } from 'vitest';
import { TURN_WORK } from '../../src/base/turn.ts';
import { BATCH_LEN } from '../../src/link/transmit.ts';
import { pattern, sameFrames, sendFrame } from '../support/link-bench.ts';
import { type BenchOptions, bufferedAmount, WebSocketBench } from '../support/websocket-bench.ts';

const benches: WebSocketBench[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
});

async function open(spec: Parameters<typeof WebSocketBench.open>[0] = {}, options: BenchOptions = {}) {
  const bench = await WebSocketBench.open(spec, options);
  benches.push(bench);
  return bench;
}

/** QEMU's framing. */
function framed(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(frame.length);
      return [prefix, frame];
    }),
  );
}

describe('a message for each frame', () => {
  test('frames of 0 to 65535 bytes, both ways, whole and in order', async () => {
    const bench = await open({}, { mtu: 65521 });
    const { client, link } = await bench.guest();
    expect(link.maxFrame).toBe(65535);
    const frames = [0, 13, 14, 60, 125, 126, 127, 1514, 4000, 65535].map((len) => pattern(len, len));
    for (const frame of frames) client.ws.send(frame);
    await bench.until(() => bench.sinks[0]!.frames.length === frames.length);
    expect(sameFrames(bench.sinks[0]!.frames, frames)).toBe(true);
    bench.host.turn.run(() => {
      for (const frame of frames) expect(sendFrame(link, bench.host, frame)).toBe(true);
    });
    await client.until(() => client.frames.length === frames.length);
    expect(sameFrames(client.frames, frames)).toBe(true);
  });

  test('a message in fragments is one frame, RFC 6455 5.4', async () => {
    const bench = await open();
    const { client } = await bench.guest();
    const frame = pattern(3, 1000);
    client.ws.send(frame.subarray(0, 10), { fin: false });
    client.ws.send(frame.subarray(10, 10), { fin: false });
    client.ws.send(frame.subarray(10), { fin: true });
    await bench.until(() => bench.sinks[0]!.frames.length === 1);
    expect(bench.sinks[0]!.frames[0]!.equals(frame)).toBe(true);
  });

  test('a message longer than a frame of the MTU and a VLAN tag ends the link, with 1009', async () => {
    const bench = await open({}, { mtu: 1500 });
    const { client, link } = await bench.guest();
    expect(link.maxFrame).toBe(1518);
    client.ws.send(pattern(1, 1518));
    client.ws.send(pattern(2, 1519));
    client.ws.send(pattern(3, 60));
    await client.until(() => client.closed !== null);
    await link.gone;
    const [sink] = bench.sinks;
    expect(client.closed).toBe(1009);
    expect(sink!.down).toBe('a message longer than a frame can be');
    expect(sink!.frames.map(({ length }) => length)).toEqual([1518]);
    expect(bench.host.arena.used).toBe(bench.idle);
  });
});

describe('a stream with lengths', () => {
  test('whoever asks for the subprotocol that Emscripten asks for speaks it', async () => {
    const bench = await open();
    const { client } = await bench.guest(['binary']);
    expect(client.ws.protocol).toBe('binary');
    expect(bench.clients.map(({ format }) => format)).toEqual(['length-prefixed']);
  });

  test('whatever the borders of its messages are', async () => {
    const bench = await open({ format: 'length-prefixed' });
    const { client, link } = await bench.guest();
    const frames = [60, 1514, 0, 200, 4000, 65553, 14].map((len) => pattern(len, len));
    const bytes = framed(...frames);
    let at = 0;
    for (const piece of [1, 1, 1, 1, 30, 30, 1600, 0, 3, 20000]) {
      client.ws.send(bytes.subarray(at, at + piece));
      at += piece;
    }
    client.ws.send(bytes.subarray(at));
    await bench.until(() => bench.sinks[0]!.frames.length === frames.length);
    expect(sameFrames(bench.sinks[0]!.frames, frames)).toBe(true);
    bench.host.turn.run(() => {
      for (const frame of frames.filter(({ length }) => length <= link.maxFrame))
        sendFrame(link, bench.host, frame);
    });
    const sent = framed(...frames.filter(({ length }) => length <= link.maxFrame));
    await client.until(() => client.bytes.length === sent.length);
    expect(client.bytes.equals(sent)).toBe(true);
    // One turn, one message.
    expect(client.frames).toHaveLength(1);
  });

  test('a length beyond all limits ends the link', async () => {
    const bench = await open({ format: 'length-prefixed' });
    const { client, link } = await bench.guest();
    client.ws.send(framed(pattern(1, 60)));
    client.ws.send(Buffer.from('GET / HTTP/1.1'));
    await client.until(() => client.closed !== null);
    await link.gone;
    expect(client.closed).toBe(1008);
    expect(bench.sinks[0]!.down).toContain("the client does not speak QEMU's stream");
    expect(bench.sinks[0]!.frames).toHaveLength(1);
  });

  test('a message of more than 128 KiB ends it, too', async () => {
    const bench = await open({ format: 'length-prefixed' });
    const { client } = await bench.guest();
    client.ws.send(Buffer.alloc(131073));
    await client.until(() => client.closed !== null);
    expect(client.closed).toBe(1009);
  });
});

describe('texts', () => {
  test('ping:x is answered with pong:x, anything else is counted', async () => {
    const bench = await open();
    const { client, link } = await bench.guest();
    for (const text of ['ping:1234', 'hello', 'ping:', 'pong:1', 'ping:\u00e4']) client.ws.send(text);
    client.ws.send(pattern(1, 60));
    await client.until(() => client.texts.length === 3);
    expect(client.texts).toEqual(['pong:1234', 'pong:', 'pong:\u00e4']);
    expect(link.texts).toEqual({ answered: 3, ignored: 2 });
    await bench.until(() => bench.sinks[0]!.frames.length === 1);
  });

  test('a client that asks and does not read gets no more answers than wait for it already', async () => {
    const bench = await open();
    const { client, link } = await bench.guest();
    client.ws.pause();
    const text = `ping:${'x'.repeat(1500)}`;
    let sent = 0;
    while (link.texts.ignored === 0) {
      for (let i = 0; i < 100; i++) client.ws.send(text);
      sent += 100;
      const before = link.texts.answered + link.texts.ignored;
      client.ws.send(pattern(1, 60));
      await bench.until(() => bench.sinks[0]!.frames.length === sent / 100);
      expect(link.texts.answered + link.texts.ignored).toBeGreaterThanOrEqual(before);
    }
    const waiting = bufferedAmount(link);
    expect(waiting).toBeLessThan(2 * BATCH_LEN);
  });
});

describe('turns', () => {
  test('what one turn has no time for comes in the next ones, in order, and the socket is not read meanwhile', async () => {
    const bench = await open();
    const { client } = await bench.guest();
    const count = 8 * TURN_WORK;
    const turns = new Set<number>();
    bench.sinks[0]!.onEach = () => {
      turns.add(bench.host.turn.count);
      bench.waiting.note();
    };
    for (let i = 0; i < count; i++) {
      const frame = Buffer.alloc(14);
      frame.writeUInt32BE(i);
      client.ws.send(frame);
    }
    await bench.until(() => bench.sinks[0]!.frames.length === count);
    const numbers = bench.sinks[0]!.frames.map((frame) => frame.readUInt32BE());
    expect(numbers).toEqual(numbers.map((_, i) => i));
    expect(turns.size).toBeGreaterThan(7);
  });

  test('frames that one read has brought come in one turn', async () => {
    const bench = await open();
    const { client } = await bench.guest();
    const turns: number[] = [];
    bench.sinks[0]!.onEach = () => {
      turns.push(bench.host.turn.count);
      bench.waiting.note();
    };
    const { socket } = client;
    socket.cork();
    for (let i = 0; i < 20; i++) client.ws.send(pattern(i, 100));
    socket.uncork();
    await bench.until(() => turns.length === 20);
    expect(new Set(turns).size).toBe(1);
  });

  test('what comes before the link is attached waits for it', async () => {
    const bench = await open({}, { attaches: false });
    const { client, link } = await bench.guest();
    const frames = Array.from({ length: 200 }, (_, i) => pattern(i, 1514));
    for (const frame of frames) client.ws.send(frame);
    client.ws.send('ping:1');
    const sink = bench.attach(link);
    await bench.until(() => sink.frames.length === frames.length);
    expect(sameFrames(sink.frames, frames)).toBe(true);
    await client.until(() => client.texts.length === 1);
  });
});

describe('a client that does not read', () => {
  test('is sent no more than four batches, then reserve() says no until it reads on', async () => {
    const bench = await open();
    const { client, link } = await bench.guest();
    client.ws.pause();
    const frame = pattern(5, 1514);
    let sent = 0;
    // The kernel takes some megabytes; a turn in between, so that batches go to it.
    for (let rounds = 0; rounds < 3; ) {
      const before = sent;
      while (sendFrame(link, bench.host, frame)) sent++;
      rounds = sent === before ? rounds + 1 : 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(link.reserve(1514)).toBe(-1);
    expect(link.send(4096, 1514)).toBe(false);
    expect(bufferedAmount(link)).toBeLessThanOrEqual(BATCH_LEN);
    expect(bench.sinks[0]!.writable).toBe(0);
    client.ws.resume();
    await bench.until(() => bench.sinks[0]!.writable > 0);
    expect(sendFrame(link, bench.host, frame)).toBe(true);
    await client.until(() => client.frames.length === sent + 1);
    expect(client.frames.every((each) => each.equals(frame))).toBe(true);
  });

  test('recall() shows what it was sent and has not got, and what came last', async () => {
    const bench = await open();
    const { client, link } = await bench.guest();
    client.ws.send(pattern(9, 77));
    await bench.until(() => bench.sinks[0]!.frames.length === 1);
    client.ws.pause();
    const frame = pattern(5, 60);
    while (bufferedAmount(link) === 0) {
      for (let i = 0; i < 1000; i++) sendFrame(link, bench.host, frame);
      await new Promise((resolve) => setImmediate(resolve));
    }
    sendFrame(link, bench.host, pattern(6, 99));
    const shown: string[] = [];
    link.recall((direction, memory, off, len) => {
      shown.push(`${direction} ${Buffer.from(memory.bytes.subarray(off, off + len)).equals(frame) || len}`);
    });
    expect(shown[0]).toBe('from-guest 77');
    expect(shown[1]).toBe('to-guest true');
    expect(shown.at(-1)).toBe('to-guest 99');
  });
});

describe('the end', () => {
  test('the client leaves: the sink is told, the arena has everything back', async () => {
    const bench = await open();
    const { client, link } = await bench.guest();
    expect(bench.host.arena.used).toBeGreaterThan(bench.idle);
    client.ws.close(1000);
    await link.gone;
    expect(bench.sinks[0]!.down).toBe('the client closed the connection');
    expect(bench.host.arena.used).toBe(bench.idle);
    expect(sendFrame(link, bench.host, pattern(1, 60))).toBe(false);
    expect([link.send(4096, 60), link.extend(60, 2)]).toEqual([false, 0]);
  });

  test('the client is gone without a word', async () => {
    const bench = await open();
    const { client, link } = await bench.guest();
    client.ws.terminate();
    await link.gone;
    expect(bench.sinks[0]!.down).toBe('the connection was lost');
  });

  test('close(): the client and the sink are told, the name is free', async () => {
    const bench = await open();
    const first = await bench.guest();
    expect(first.link.name).toBe('web0');
    await first.link.close();
    await first.client.until(() => first.client.closed !== null);
    expect(first.client.closed).toBe(1001);
    expect(bench.sinks[0]!.down).toBe('closed');
    expect(bench.host.arena.used).toBe(bench.idle);
    await first.link.close();
    expect((await bench.guest()).link.name).toBe('web0');
    expect((await bench.guest()).link.name).toBe('web1');
  });

  test('closed before it is attached: whoever attaches it hears that it is down', async () => {
    const bench = await open({}, { attaches: false });
    const { client, link } = await bench.guest();
    // Nobody reads yet; the reset is noticed all the same.
    client.socket.resetAndDestroy();
    await link.gone;
    const sink = bench.attach(link);
    await bench.until(() => sink.down !== null);
    expect(bench.host.arena.used).toBe(bench.idle);
  });

  test('an arena without room refuses it', async () => {
    const bench = await open({}, { attaches: false });
    const { link } = await bench.guest();
    const { arena } = bench.host;
    const account = arena.scratchAccount;
    const blocks: number[] = [];
    for (let off = arena.take(262144, account); off >= 0; off = arena.take(262144, account)) blocks.push(off);
    expect(() => bench.attach(link)).toThrow('the arena has no room');
    for (const off of blocks) arena.give(off, 262144, account);
    expect(arena.used).toBe(bench.idle);
  });

  test('what is no WebSocket any more ends it', async () => {
    const bench = await open();
    const { client, link } = await bench.guest();
    client.socket.write(Buffer.from([0xf2, 0x80, 0, 0, 0, 0]));
    await link.gone;
    expect(bench.sinks[0]!.down).toContain('RSV');
  });
});

test('a link that is bad on purpose loses what it is asked to lose', async () => {
  const bench = await open({ faults: { fromGuest: { loss: 0.5 }, seed: 3 } });
  const client = bench.connect(bench.port.url);
  await client.isOpen;
  await bench.until(() => bench.links.length === 1);
  for (let i = 0; i < 100; i++) client.ws.send(pattern(i, 60));
  await bench.until(() => {
    const { fromGuest } = bench.links[0]!.faults!;
    return fromGuest.lost + bench.sinks[0]!.frames.length === 100;
  });
  expect(bench.sinks[0]!.frames.length).toBeGreaterThan(25);
  expect(bench.links[0]!.faults!.fromGuest.lost).toBeGreaterThan(25);
});
