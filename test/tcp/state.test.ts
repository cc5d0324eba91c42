import { describe, expect, test } from 'vitest';
import { type Event, isSynchronized, maySendToUs, nextState, type State } from '../../src/tcp/state.ts';
import { setState } from '../../src/tcp/tcb.ts';
import { TcpPeer } from '../support/tcp-peer.ts';

const STATES: readonly State[] = [
  'CLOSED',
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
];

const EVENTS: readonly Event[] = [
  'open',
  'rcv-syn',
  'rcv-syn-ack',
  'rcv-ack-of-syn',
  'rcv-fin',
  'rcv-ack-of-fin',
  'close',
  'time-wait-over',
  'abort',
];

/** RFC 9293 figure 5, an arrow a line. */
const FIGURE_5: readonly (readonly [State, Event, State])[] = [
  ['CLOSED', 'open', 'SYN-SENT'],
  ['CLOSED', 'rcv-syn', 'SYN-RECEIVED'],
  ['LISTEN', 'rcv-syn', 'SYN-RECEIVED'],
  ['LISTEN', 'close', 'CLOSED'],
  ['SYN-SENT', 'rcv-syn', 'SYN-RECEIVED'],
  ['SYN-SENT', 'rcv-syn-ack', 'ESTABLISHED'],
  ['SYN-RECEIVED', 'rcv-ack-of-syn', 'ESTABLISHED'],
  ['ESTABLISHED', 'close', 'FIN-WAIT-1'],
  ['ESTABLISHED', 'rcv-fin', 'CLOSE-WAIT'],
  ['FIN-WAIT-1', 'rcv-ack-of-fin', 'FIN-WAIT-2'],
  ['FIN-WAIT-1', 'rcv-fin', 'CLOSING'],
  ['FIN-WAIT-2', 'rcv-fin', 'TIME-WAIT'],
  ['CLOSING', 'rcv-ack-of-fin', 'TIME-WAIT'],
  ['CLOSE-WAIT', 'close', 'LAST-ACK'],
  ['LAST-ACK', 'rcv-ack-of-fin', 'CLOSED'],
  ['TIME-WAIT', 'time-wait-over', 'CLOSED'],
];

describe('RFC 9293 3.3.2 figure 5', () => {
  test.each(STATES)('%s has the arrows of the figure, an abort, and no others', (state) => {
    for (const event of EVENTS) {
      const arrow = FIGURE_5.find(([from, on]) => from === state && on === event);
      const expected = event === 'abort' ? 'CLOSED' : (arrow?.[2] ?? null);
      expect([event, nextState(state, event)]).toEqual([event, expected]);
    }
  });

  test('an illegal event is our bug, and says so', () => {
    const { tcb } = new TcpPeer();
    expect(() => setState(tcb, 'rcv-ack-of-fin')).toThrow('rcv-ack-of-fin in CLOSED');
  });

  test('which states take data, and which have both SYNs acknowledged', () => {
    expect(STATES.filter(maySendToUs)).toEqual(['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2']);
    expect(STATES.filter((state) => !isSynchronized(state))).toEqual([
      'CLOSED',
      'LISTEN',
      'SYN-SENT',
      'SYN-RECEIVED',
    ]);
  });
});
