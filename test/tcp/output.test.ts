import { describe, expect, test } from 'vitest';
import { planSend, SendPlan } from '../../src/tcp/output.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { pattern } from '../support/segment-bytes.ts';
import { established, TcpPeer as Peer, type TcpPeer } from '../support/tcp-peer.ts';

/** The next plan as text, or 'nothing'; asking changes nothing. */
function planOf({ tcb }: TcpPeer): string {
  const plan = new SendPlan();
  const [before, said] = [JSON.stringify(stateOf(tcb)), planSend(tcb, plan)];
  expect(JSON.stringify(stateOf(tcb))).toBe(before);
  expect(said).toBe(plan.kind !== 'nothing');
  if (!said) return 'nothing';
  const flags = Object.entries(Flag)
    .filter(([, bit]) => plan.flags & bit)
    .map(([name]) => name.toLowerCase());
  return `${plan.kind} ${(plan.seq - tcb.iss) | 0}+${plan.len} ${flags.join(' ')}`;
}

function stateOf(tcb: TcpPeer['tcb']): object {
  const { sndUna, sndNxt, sndMax, rcvNxt, rcvAdv, ackPending, probe, tlpDue, state } = tcb;
  return { sndUna, sndNxt, sndMax, rcvNxt, rcvAdv, ackPending, probe, tlpDue, state };
}

/** A connection whose output the test asks for itself. */
function quiet(options: Parameters<typeof established>[0] = {}): TcpPeer {
  const peer = established(options);
  peer.host.wantOutput = () => {};
  return peer;
}

describe('what to send next', () => {
  test('nothing, when nothing is due', () => {
    expect(planOf(quiet())).toBe('nothing');
  });

  test('an ACK at the highest number', () => {
    const peer = quiet();
    peer.tcb.ackPending = true;
    expect(planOf(peer)).toBe('ack 1+0 ack');
  });

  test('a full segment, and PSH only on the last', () => {
    const peer = quiet();
    peer.host.gives(pattern(2000));
    expect(planOf(peer)).toBe('data 1+1460 ack');
    peer.tcb.sndNxt = (peer.tcb.sndNxt + 1460) | 0;
    peer.tcb.sndMax = peer.tcb.sndNxt;
    expect(planOf(peer)).toBe('data 1461+540 psh ack');
  });

  test('FIN with the last data where the window has room for both', () => {
    const [both, one] = [quiet({ windShift: -1, wnd: 6 }), quiet({ windShift: -1, wnd: 5 })];
    for (const peer of [both, one]) {
      peer.host.gives('hello');
      peer.host.closes();
    }
    expect(planOf(both)).toBe('data 1+5 fin psh ack');
    expect(planOf(one)).toBe('data 1+5 psh ack');
  });

  test('what is lost before anything new', () => {
    const peer = established();
    peer.host.gives(pattern(20_000));
    peer.host.wantOutput = () => {};
    expect(planOf(peer)).toBe('nothing');
    peer.tcb.recovery.log.markLost(0);
    expect(planOf(peer)).toBe('data 1+1460 ack');
  });

  test('a probe: one byte into a closed window', () => {
    const peer = quiet({ wnd: 0 });
    peer.host.gives('hello');
    expect(planOf(peer)).toBe('nothing');
    peer.tcb.probe = true;
    expect(planOf(peer)).toBe('data 1+1 ack');
  });

  test('a keep-alive: a number that was acknowledged', () => {
    const peer = quiet();
    peer.tcb.keepaliveDue = true;
    expect(planOf(peer)).toBe('ack 0+0 ack');
  });

  test('SYN, SYN-ACK, and neither while it is held', () => {
    const [active, passive] = [new Peer(), new Peer()];
    for (const peer of [active, passive]) peer.host.wantOutput = () => {};
    active.host.connects();
    expect(planOf(active)).toBe('syn 0+0 syn');
    passive.guest.sendsSyn();
    expect(planOf(passive)).toBe('nothing');
    passive.host.accepts();
    expect(planOf(passive)).toBe('syn 0+0 syn ack');
  });
});
