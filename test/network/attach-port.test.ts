// An emulator in this process: frames are handed over in calls. What is lent and what is given, what a bad emulator may do.

import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { PlayedHost } from '../../src/host/played-host.ts';
import { BATCH_LEN } from '../../src/link/transmit.ts';
import { createNetwork, type Network } from '../../src/network/network.ts';
import type { PortOptions } from '../../src/network/parts.ts';
import { arp, ethernet } from '../support/raw-frames.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const QUESTION = arp(1, '10.0.2.15', '10.0.2.2');

/** A network, a port, and what its emulator got. */
function bench(options: Partial<PortOptions> = {}, config = {}) {
  const clock = new ManualClock();
  const errors: string[] = [];
  const network = createNetwork(config, {
    clock,
    host: new PlayedHost(),
    random: new SeededRandom(3),
    makeView: (buffer) => Buffer.from(buffer),
    on: { error: ({ message }) => errors.push(message) },
  });
  const frames: Buffer[] = [];
  const port = network.attachPort({ toGuest: (frame) => void frames.push(Buffer.from(frame)), ...options });
  return { clock, network, port, frames, errors };
}

function link(network: Network, name = 'port0') {
  return network.stats().links.find((one) => one.name === name)!;
}

describe('what a bad emulator does', () => {
  test('ready() from inside the toGuest that takes nothing: it is called again, a turn later', () => {
    let calls = 0;
    const { clock, port, network } = bench({
      toGuest: () => {
        calls++;
        port.ready();
        return calls > 2;
      },
    });
    port.fromGuest(QUESTION);
    clock.advance(10);
    expect(calls).toBe(3);
    expect(link(network)).toMatchObject({ framesOut: 1 });
  });

  test('an async toGuest that rejects is an error event', async () => {
    const { clock, port, errors, network } = bench({
      toGuest: async () => {
        throw new Error('late');
      },
    });
    port.fromGuest(QUESTION);
    clock.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toEqual(['port0: toGuest threw: late']);
    expect(link(network)).toMatchObject({ framesOut: 1 });
  });

  test('a frame too long is told of once for each port', () => {
    const { network, port, errors } = bench();
    const other = network.attachPort({ toGuest: () => {}, name: 'other' });
    for (const each of [port, other, port]) each.fromGuest(new Uint8Array(2000));
    const told = (name: string) =>
      `${name}: a frame of 2000 bytes is lost, its port takes 1514: raise mtu or maxFrame`;
    expect(errors).toEqual([told('port0'), told('other')]);
  });

  test('a port that was closed is not attached again', async () => {
    const { network, port } = bench();
    await network.detach(port);
    const { used } = network.arena;
    expect(() => network.attach(port)).toThrow('link port0: is closed');
    expect(network.arena.used).toBe(used);
  });
});

describe('what is lent', () => {
  test('a frame from the guest is copied before fromGuest returns', () => {
    const { clock, port, frames } = bench();
    const lent = Uint8Array.from(QUESTION);
    expect(port.fromGuest(lent)).toBe(true);
    lent.fill(0xff);
    expect(frames).toEqual([]);
    clock.runSoon();
    expect(frames).toHaveLength(1);
    expect(frames[0]!.subarray(12, 14).toString('hex')).toBe('0806');
    expect(frames[0]).toHaveLength(60);
  });

  test('a frame for the guest is a plain Uint8Array of just its bytes, of which slice() is a copy', () => {
    const kept: Uint8Array[] = [];
    const { clock, port } = bench({ toGuest: (frame) => void kept.push(frame, frame.slice()) });
    port.fromGuest(QUESTION);
    clock.runSoon();
    const [lent, copy] = kept;
    expect(Object.getPrototypeOf(lent)).toBe(Uint8Array.prototype);
    expect(copy!.buffer).not.toBe(lent!.buffer);
    expect(Buffer.from(copy!).equals(Buffer.from(lent!))).toBe(true);
  });

  test('with poison, one that is kept is spoiled after the call; others never are', () => {
    const kept: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    const toGuest = (frame: Uint8Array): void => {
      kept.push(frame);
      copies.push(frame.slice());
    };
    const { clock, port } = bench({ toGuest, poison: true });
    port.fromGuest(QUESTION);
    clock.runSoon();
    expect(new Set(kept[0])).toEqual(new Set([0xdb]));
    expect(copies[0]!.subarray(12, 14)).toEqual(Uint8Array.of(8, 6));
  });
});

describe('an emulator that is in no hurry', () => {
  test('a frame that it does not take comes again after ready(), in order, and none is lost', () => {
    let room = 2;
    const taken: number[] = [];
    const { clock, port, network } = bench({
      toGuest: (frame) => {
        if (room === 0) return false;
        room--;
        taken.push(frame[41]!);
        return true;
      },
    });
    const other = network.attachPort({ toGuest: () => {} });
    // Frames of another guest, each with its number.
    port.fromGuest(QUESTION);
    clock.runSoon();
    taken.length = 0;
    room = 2;
    for (let i = 0; i < 5; i++) {
      const frame = ethernet(Buffer.alloc(46, i), { to: '52:54:00:12:34:56', from: '52:54:00:00:00:02' });
      other.fromGuest(frame);
    }
    clock.runSoon();
    expect(taken).toEqual([0, 1]);
    room = 1;
    port.ready();
    clock.runSoon();
    expect(taken).toEqual([0, 1, 2]);
    room = 9;
    port.ready();
    clock.runSoon();
    expect(taken).toEqual([0, 1, 2, 3, 4]);
  });

  test('one that takes nothing for ever fills its queue, and the rest is lost and counted', () => {
    const { clock, port, network } = bench({ toGuest: () => false });
    port.fromGuest(QUESTION);
    clock.runSoon();
    const before = network.stats().arena.used;
    for (let i = 0; i < 20_000; i++) {
      port.fromGuest(QUESTION);
      if (i % 100 === 0) clock.runSoon();
    }
    clock.runSoon();
    expect(network.stats().drops['LinkQueueFull']).toBeGreaterThan(1000);
    expect(network.stats().arena.used).toBe(before);
  });
});

describe('an emulator that is wrong', () => {
  test('toGuest throws: an error event each, the frame is lost, the network goes on', () => {
    let calls = 0;
    const toGuest = (): void => {
      calls++;
      if (calls === 1) throw new Error('out of descriptors');
    };
    const { clock, port, network, errors } = bench({ toGuest });
    port.fromGuest(QUESTION);
    port.fromGuest(QUESTION);
    clock.runSoon();
    expect(calls).toBe(2);
    expect(errors).toEqual(['port0: toGuest threw: out of descriptors']);
    expect(link(network).losses).toEqual({ whileDown: 0, refused: 1 });
  });

  test('frames that are too long: one error, all counted; too short: a verdict of the switch', () => {
    const { clock, port, network, errors } = bench();
    expect(port.fromGuest(new Uint8Array(1515))).toBe(false);
    expect(port.fromGuest(new Uint8Array(70_000))).toBe(false);
    expect(port.fromGuest(new Uint8Array(0))).toBe(true);
    expect(port.fromGuest(new Uint8Array(13))).toBe(true);
    clock.runSoon();
    expect(errors).toEqual([
      'port0: a frame of 1515 bytes is lost, its port takes 1514: raise mtu or maxFrame',
    ]);
    expect(network.stats().losses).toEqual({ PortFrameTooLong: 2 });
    expect(network.stats().drops).toEqual({ EthernetTooShort: 2 });
  });

  test('what is no frame, no callback, no size is a TypeError or RangeError that says so', () => {
    const { port, network } = bench();
    expect(() => port.fromGuest([1, 2] as unknown as Uint8Array)).toThrow(
      'fromGuest: a frame is a Uint8Array',
    );
    expect(() => network.attachPort({} as PortOptions)).toThrow('toGuest: is not a function');
    const withFrame = (maxFrame: number) => () => network.attachPort({ toGuest: () => {}, maxFrame });
    expect(withFrame(1000)).toThrow('maxFrame: 1000 is not within 1514 to 65535');
    expect(withFrame(70_000)).toThrow('maxFrame: 70000 is not within 1514 to 65535');
  });

  test('attached twice, under a taken name, after close: each is said', async () => {
    const { port, network } = bench();
    expect(() => network.attach(port)).toThrow('link port0: is attached already');
    const again = { toGuest: () => {}, name: 'port0' };
    expect(() => network.attachPort(again)).toThrow('link port0: another link is called that');
    await network.close();
    expect(() => network.attachPort(again)).toThrow('the network is closed');
    expect(() => network.attach(port)).toThrow('the network is closed');
    expect(port.fromGuest(QUESTION)).toBe(false);
  });

  test('a port of another network: said by the link', () => {
    const { port } = bench();
    const { network } = bench();
    expect(() => network.attach(port)).toThrow();
  });
});

describe('calls from inside calls', () => {
  test('toGuest answers with fromGuest, without end: other guests have their turns', () => {
    const { clock, network } = bench();
    let calls = 0;
    const loop = network.attachPort({
      name: 'loop',
      toGuest: () => {
        if (++calls < 5000) loop.fromGuest(QUESTION);
      },
    });
    loop.fromGuest(QUESTION);
    clock.runSoon(100);
    expect(calls).toBeGreaterThan(10);
    expect(calls).toBeLessThan(200);
  });

  test('the network is closed from inside toGuest, from an event, and nothing is left', async () => {
    for (const where of ['toGuest', 'event']) {
      const { clock, network, port } = bench({
        name: 'closing',
        toGuest: () => {
          if (where === 'toGuest') void network.close();
        },
      });
      network.on('guest-up', () => void network.close());
      port.fromGuest(QUESTION);
      port.fromGuest(QUESTION);
      if (where === 'event') network.attachPort({ toGuest: () => {} });
      clock.runSoon();
      const closed = network.close();
      clock.runSoon();
      await closed;
      expect(network.stats()).toMatchObject({ arena: { used: 0 }, timers: 0 });
    }
  });

  test.each(['close', 'detach'])('%s from inside toGuest: the guest is gone, once', (how) => {
    const downs: string[] = [];
    const { clock, network, port } = bench({
      toGuest: () => void (how === 'close' ? port.close() : network.detach(port)),
    });
    const before = network.stats().arena.used;
    network.on('guest-down', ({ link: name, reason }) => downs.push(`${name}: ${reason}`));
    port.fromGuest(QUESTION);
    port.fromGuest(QUESTION);
    clock.runSoon();
    expect(downs).toEqual(['port0: unplugged']);
    // Two queues of two batches, in each direction.
    expect(before - network.stats().arena.used).toBe(4 * BATCH_LEN);
    expect(port.fromGuest(QUESTION)).toBe(false);
    expect(() => network.detach(port)).toThrow('link port0: is not attached');
    network.attachPort({ toGuest: () => {}, name: 'port0' });
  });
});
