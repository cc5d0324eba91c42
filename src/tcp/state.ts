// The states of RFC 9293 3.3.2, figure 5, as a table. Only setState() in tcb.ts writes a state, and it asks here.

export type State =
  | 'CLOSED'
  | 'LISTEN'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSE-WAIT'
  | 'CLOSING'
  | 'LAST-ACK'
  | 'TIME-WAIT';

/** What moves a connection: a segment that was accepted, or our user. */
export type Event =
  | 'open'
  | 'rcv-syn'
  | 'rcv-syn-ack'
  | 'rcv-ack-of-syn'
  | 'rcv-fin'
  | 'rcv-ack-of-fin'
  /** Our FIN is queued behind the last byte. */
  | 'close'
  | 'time-wait-over'
  /** A reset, ours or theirs, or giving up. Legal everywhere. */
  | 'abort';

const TABLE: Readonly<Record<State, Partial<Record<Event, State>>>> = {
  CLOSED: { open: 'SYN-SENT', 'rcv-syn': 'SYN-RECEIVED' },
  LISTEN: { 'rcv-syn': 'SYN-RECEIVED', close: 'CLOSED' },
  'SYN-SENT': { 'rcv-syn-ack': 'ESTABLISHED', 'rcv-syn': 'SYN-RECEIVED' },
  'SYN-RECEIVED': { 'rcv-ack-of-syn': 'ESTABLISHED' },
  ESTABLISHED: { close: 'FIN-WAIT-1', 'rcv-fin': 'CLOSE-WAIT' },
  'FIN-WAIT-1': { 'rcv-ack-of-fin': 'FIN-WAIT-2', 'rcv-fin': 'CLOSING' },
  'FIN-WAIT-2': { 'rcv-fin': 'TIME-WAIT' },
  'CLOSE-WAIT': { close: 'LAST-ACK' },
  CLOSING: { 'rcv-ack-of-fin': 'TIME-WAIT' },
  'LAST-ACK': { 'rcv-ack-of-fin': 'CLOSED' },
  'TIME-WAIT': { 'time-wait-over': 'CLOSED' },
};

/** The state after `event`, or null when the event is not legal in `state`. Pure. */
export function nextState(state: State, event: Event): State | null {
  if (event === 'abort') return 'CLOSED';
  return TABLE[state][event] ?? null;
}

/** States in which the peer may still send data: its FIN has not come. RFC 9293 3.10.7.4, seventh. */
export function maySendToUs(state: State): boolean {
  return state === 'ESTABLISHED' || state === 'FIN-WAIT-1' || state === 'FIN-WAIT-2';
}

/** States from ESTABLISHED on: both SYNs are acknowledged. */
export function isSynchronized(state: State): boolean {
  return state !== 'CLOSED' && state !== 'LISTEN' && state !== 'SYN-SENT' && state !== 'SYN-RECEIVED';
}

/** There is no connection any more. */
export function isClosed(state: State): boolean {
  return state === 'CLOSED';
}
