// Both ends have ended: were they right to?

import type { Ms } from '../../src/base/clock.ts';
import type { SimulationConfig } from './config.ts';
import type { Endpoint } from './endpoint.ts';

/** RFC 9293 3.8.3 (MUST-20, MUST-23): how long to try at the least. A SYN-ACK of ours has a minute. */
const LEAST_PATIENCE: Ms = 45_000;
/** Nobody answers probes of a closed window. */
const PROBE_SILENCE: Ms = 180_000;
/** How long an end may go on that hears nothing more: with what it has out, half-closed, or whole and idle. */
const PATIENCE_HALF_CLOSED: Ms = 20 * 60_000;
const PATIENCE_IDLE: Ms = 2 * 3_600_000 + PATIENCE_HALF_CLOSED;
/** What an outage and a short queue behind it may cost: in times that the run takes without them, in outages, and beside. */
const WORTH = { ideal: 5, outage: 3, ms: 20_000 };
/** Answers in vain that are bad luck. */
const FEW = 5;

export function outcomeOf(active: Endpoint, passive: Endpoint): string {
  return `${active.reason}/${passive.tcb === null && passive.reason === null ? 'unborn' : passive.reason}`;
}

export function stateOf(end: Endpoint): string {
  const { config, tcb } = end;
  const what = end.reason ?? tcb?.state ?? 'unborn';
  return `${config.role} ${what}, wrote ${end.written} of ${config.writes}, read ${end.read}`;
}

/** What is wrong with how it ended, or null. */
export function judge(active: Endpoint, passive: Endpoint, config: SimulationConfig): string | null {
  const outcome = outcomeOf(active, passive);
  return judgeEnd(active, config, outcome) ?? judgeEnd(passive, config, outcome);
}

/** Did a run that came to a normal end take much longer than without faults? Only where faults are few is that no bad luck. */
export function judgeTime({ kind, there }: SimulationConfig, readAt: Ms, idealAt: Ms): string | null {
  if (kind !== 'outage, short queue') return null;
  const most = WORTH.ideal * idealAt + WORTH.outage * there.deadMs + WORTH.ms;
  return readAt > most ? `took ${readAt} ms, and ${idealAt} ms without faults` : null;
}

function judgeEnd(end: Endpoint, config: SimulationConfig, outcome: string): string | null {
  const { reason, peer } = end;
  const wrong = (what: string) => `${end.config.role} ${what}: ${outcome}`;
  const lossless = config.kind === 'clean' || config.kind === 'reordering <= 25 %';
  switch (reason) {
    case 'normal':
      if (!end.finSeen) return wrong('ended in order and saw no FIN');
      if (end.read !== peer.written) return wrong(`read ${end.read} of ${peer.written}`);
      if (peer.written !== peer.config.writes)
        return wrong('ended in order before the other had written all');
      break;
    case 'peer-reset':
      if (peer.reason === 'normal') return wrong('was reset by one that had ended in order');
      if (peer.reason === 'peer-reset') return wrong('was reset, and so was the other');
      break;
    case 'timed-out':
      if (lossless && !isGone(peer)) return wrong('gave up on a channel that loses nothing');
      return judgePatience(end) === null ? judgeLimit(end) : wrong(judgePatience(end)!);
    case null:
      if (end.tcb !== null) return wrong('has not ended');
      break;
  }
  return judgeLimit(end);
}

function isGone({ reason }: Endpoint): boolean {
  return reason === 'vanished' || reason === 'aborted-here' || reason === 'timed-out';
}

/** It gave up: had it tried for long enough, and had nothing come that it could have got on with? */
function judgePatience(end: Endpoint): string | null {
  const { progress, endedAt, peer } = end;
  if (endedAt - progress.movedAt < LEAST_PATIENCE) return `gave up after ${endedAt - progress.movedAt} ms`;
  if (isGone(peer) && peer.endedAt < endedAt) return null;
  if (progress.inVain > FEW && endedAt - progress.heardAt < PROBE_SILENCE) {
    return `gave up although ${progress.inVain} answers had come`;
  }
  return null;
}

/** The other end was gone: did it take long to find out? Its application may have had pauses. */
function judgeLimit(end: Endpoint): string | null {
  const { peer } = end;
  if (!isGone(peer) || end.tcb === null || end.reason === null) return null;
  const halfClosed = end.closed || end.finSeen;
  const limit = halfClosed ? PATIENCE_HALF_CLOSED : PATIENCE_IDLE;
  const since = Math.max(peer.endedAt, end.progress.heardAt, end.actedAt);
  const took = end.endedAt - since;
  return took > limit ? `${end.config.role} took ${took} ms to see that the other end was gone` : null;
}
