import fc from 'fast-check';
import { expect, test } from 'vitest';
import { advertise, advertiseInSyn, shiftFor } from '../../src/tcp/window.ts';
import { established, TcpPeer } from '../support/tcp-peer.ts';

test('RFC 7323 2.3: the smallest shift with which the window can be said, 14 at most', () => {
  expect([4096, 65_535, 65_536, 1 << 20, 4 << 20, 2 ** 30, 2 ** 31].map(shiftFor)).toEqual([
    0, 0, 1, 5, 7, 14, 14,
  ]);
});

/** Text of the guest, in order or a little ahead, or the host reads; sizes as they come. */
const step = fc.record({
  what: fc.constantFrom('send', 'send', 'ahead', 'read'),
  size: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 30_000 })),
});

test.each([
  [4096, -1],
  [16_384, 7],
  [1 << 20, 7],
])(
  'flows of %i bytes, scale %i: what is offered is taken, and its right edge never moves left',
  (flowBytes, windShift) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        // That the edge stays where it was is checked with each segment that the bench sees.
        const peer = established({ flowBytes, windShift, arenaBytes: 4 << 20 });
        const { guest, host, tcb } = peer;
        for (const { what, size } of steps) {
          const window = (tcb.rcvAdv - tcb.rcvNxt) | 0;
          const next = (tcb.rcvNxt - tcb.irs) | 0;
          if (what === 'read') host.takes(size);
          else if (what === 'ahead') guest.sends({ seq: next + 1 + (size % 50), data: new Uint8Array(size) });
          else {
            const data = new Uint8Array(size);
            const before = tcb.rcvNxt;
            guest.sends({ seq: next, data });
            expect((tcb.rcvNxt - before) | 0).toBeGreaterThanOrEqual(Math.min(size, window));
          }
          for (const sent of guest.takesAll())
            expect(sent.wnd << tcb.rcvWindShift).toBeLessThanOrEqual(flowBytes);
        }
        host.takes();
        expect((tcb.rcvAdv - tcb.rcvNxt) | 0).toBeGreaterThanOrEqual(Math.min(flowBytes, 65_536) / 2);
      }),
      { numRuns: 40 },
    );
  },
);

test('RFC 7323 2.4 (2): a SYN-ACK again, which cannot say as much, does not move back the edge that an ACK has said', () => {
  const { guest, host, tcb } = new TcpPeer({ flowBytes: 1 << 20 });
  guest.sendsSyn();
  host.accepts();
  const inSyn = (tcb.rcvAdv - tcb.rcvNxt) | 0;
  // Rounded up: 65535 cannot be said with a shift.
  const said = advertise(tcb) << tcb.rcvWindShift;
  expect([inSyn, said]).toEqual([65_535, 65_536]);
  expect(advertiseInSyn(tcb)).toBe(65_535);
  expect((tcb.rcvAdv - tcb.rcvNxt) | 0).toBe(said);
});

test('RFC 9293 3.8.6 (SHLD-14): where the ring has room the edge does not move left by the bits that a shift loses either', () => {
  const { guest, tcb } = established({ flowBytes: 1 << 20 });
  expect(tcb.rcvWindShift).toBeGreaterThan(0);
  let edge = 65_536;
  for (let i = 0; i < 100; i++) {
    guest.sends({ data: new Uint8Array(1 + (i % 7)) });
    const { ack, wnd } = guest.expects({ flags: 'A' });
    const said = ack + (wnd << tcb.rcvWindShift);
    expect(said).toBeGreaterThanOrEqual(edge);
    edge = said;
  }
});
