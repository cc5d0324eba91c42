import { expect, test } from 'vitest';
import { Account } from '../../src/base/arena.ts';
import { Drop, dropNames } from '../../src/base/drop.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Memory } from '../../src/base/memory.ts';
import { captureLink, type FrameRecorder } from '../../src/link/capture.ts';
import { faultyLink } from '../../src/link/faults.ts';
import type { Direction, Link } from '../../src/link/link.ts';
import { createPair } from '../../src/link/pair.ts';
import { newHost, pattern, RecordingSink, sendFrame } from '../support/link-bench.ts';
import { RawLink } from '../support/raw-guest.ts';

class Recorder implements FrameRecorder {
  readonly seen: string[] = [];

  record(direction: Direction, memory: Memory, off: number, len: number, wallMs: number): void {
    const bytes = Buffer.from(memory.bytes.subarray(off, off + len)).toString('hex');
    this.seen.push(`${direction} ${bytes} ${wallMs}`);
  }
}

/** Tells verdicts as well. */
class Judging extends Recorder {
  verdict(drop: Drop): void {
    this.seen.push(dropNames[drop]!);
  }
}

/** A captured link attached to a network of the test, and the guest at its other end. */
function setup(recorder: Recorder = new Recorder()) {
  const clock = new ManualClock();
  const host = newHost(clock);
  const guestHost = newHost(clock);
  const { link, peer } = createPair('guest0', 1514);
  const captured = captureLink(link, recorder);
  const sink = new RecordingSink(host);
  const guest = new RecordingSink(guestHost);
  captured.attach(sink, host);
  peer.attach(guest, guestHost);
  return { clock, host, guestHost, captured, peer, recorder, sink, guest };
}

const wall = (ms: number): number => new ManualClock().wallNow() + ms;

test('a frame from the guest is recorded as it is, before the network has it', () => {
  const { clock, guestHost, peer, recorder, sink } = setup();
  const seenBefore: number[] = [];
  sink.onEach = () => seenBefore.push(recorder.seen.length);
  clock.advance(5);
  sendFrame(peer, guestHost, pattern(1, 20));
  clock.runSoon();
  expect(recorder.seen).toEqual([`from-guest ${pattern(1, 20).toString('hex')} ${wall(5)}`]);
  expect(seenBefore).toEqual([1]);
  expect(sink.frames).toEqual([pattern(1, 20)]);
});

test('a reserved frame is recorded at its commit, with the length it got', () => {
  const { clock, host, captured, recorder, guest } = setup();
  host.turn.run(() => {
    const off = captured.reserve(1514);
    host.arena.memory.bytes.set(pattern(2, 30), off);
    expect(recorder.seen).toEqual([]);
    captured.commit(30);
  });
  clock.runSoon();
  expect(recorder.seen).toEqual([`to-guest ${pattern(2, 30).toString('hex')} ${wall(0)}`]);
  expect(guest.frames).toEqual([pattern(2, 30)]);
});

test('a frame that is sent is recorded when the link takes it, one that is refused is not', () => {
  const { clock, host, captured, recorder, guest } = setup();
  const off = host.arena.take(1514, new Account());
  host.arena.memory.bytes.set(pattern(3, 1514), off);
  let taken = 0;
  host.turn.run(() => {
    while (captured.send(off, 1514) && taken < 100_000) taken++;
  });
  expect(taken).toBeLessThan(100_000);
  expect(recorder.seen.length).toBe(taken);
  clock.runSoon();
  expect(guest.frames.length).toBe(taken);
});

test('the verdict on a frame from the guest comes behind its answer', () => {
  const { clock, host, guestHost, captured, peer, recorder, sink } = setup(new Judging());
  sink.onEach = () => sendFrame(captured, host, pattern(9, 4));
  sink.verdict = Drop.TcpNoFlow;
  sendFrame(peer, guestHost, pattern(1, 3));
  sendFrame(peer, guestHost, pattern(2, 3));
  clock.runSoon();
  const [first, second, answer] = [pattern(1, 3), pattern(2, 3), pattern(9, 4)].map((b) => b.toString('hex'));
  expect(recorder.seen).toEqual([
    `from-guest ${first} ${wall(0)}`,
    `to-guest ${answer} ${wall(0)}`,
    'TcpNoFlow',
    `from-guest ${second} ${wall(0)}`,
    `to-guest ${answer} ${wall(0)}`,
    'TcpNoFlow',
  ]);
});

test('captures lie around one another, and the verdict reaches each of them', () => {
  const clock = new ManualClock();
  const host = newHost(clock);
  const [inner, outer] = [new Judging(), new Judging()];
  const raw = new RawLink('raw0');
  const sink = new RecordingSink(host);
  sink.verdict = Drop.Ipv4BadChecksum;
  captureLink(captureLink(raw, inner), outer).attach(sink, host);
  raw.sends(pattern(1, 20));
  expect(inner.seen).toEqual([`from-guest ${pattern(1, 20).toString('hex')} ${wall(0)}`, 'Ipv4BadChecksum']);
  expect(outer.seen).toEqual(inner.seen);
});

test('a frame that a link keeps for later has no verdict yet', () => {
  const clock = new ManualClock();
  const host = newHost(clock);
  const recorder = new Judging();
  const raw = new RawLink('raw0');
  const sink = new RecordingSink(host);
  sink.verdict = Drop.Ipv4BadChecksum;
  faultyLink(captureLink(raw, recorder), { delay: 10 }).attach(sink, host);
  raw.sends(pattern(1, 20));
  expect(sink.frames).toEqual([]);
  clock.advance(10);
  expect(sink.frames).toEqual([pattern(1, 20)]);
  expect(recorder.seen).toEqual([`from-guest ${pattern(1, 20).toString('hex')} ${wall(0)}`, 'None']);
});

test('a recorder that tells links apart is asked for each, and a link that it does not want is left as it is', () => {
  const asked: string[] = [];
  const recorder = new Recorder();
  const recorderOf = ({ name }: Link): FrameRecorder | null => {
    asked.push(name);
    return name === 'raw1' ? recorder : null;
  };
  const links = [new RawLink('raw0'), new RawLink('raw1')];
  const captured = links.map((link) => captureLink(link, { recorderOf }));
  expect(asked).toEqual(['raw0', 'raw1']);
  expect(captured[0]).toBe(links[0]);
  expect(captured[1]).not.toBe(links[1]);
});

test('it is the link for everything else', () => {
  const { clock, captured, peer, sink } = setup();
  expect([captured.name, captured.maxFrame]).toEqual(['guest0', 1514]);
  peer.close();
  clock.runSoon();
  expect(sink.down).not.toBeNull();
  captured.close();
  captured.close();
});
