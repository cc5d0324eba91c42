// What a stream's end is called on either side of the wire.

import type { HostError } from '../host/host-network.ts';
import { CloseReason } from './wisp.ts';

/** Of a server's CLOSE. Wisp has one reason for a host and for a network that cannot be reached. */
const BY_REASON: Readonly<Record<number, HostError>> = {
  // Also what some servers say for every connection that they could not make.
  [CloseReason.NetworkError]: 'reset',
  [CloseReason.Voluntary]: 'reset',
  [CloseReason.Unreachable]: 'host-unreachable',
  [CloseReason.NoAnswer]: 'timed-out',
  [CloseReason.Refused]: 'refused',
  [CloseReason.TransferTimedOut]: 'timed-out',
  [CloseReason.Blocked]: 'not-permitted',
  [CloseReason.Throttled]: 'exhausted',
};

const BY_ERROR: Readonly<Record<HostError, number>> = {
  refused: CloseReason.Refused,
  'host-unreachable': CloseReason.Unreachable,
  'net-unreachable': CloseReason.Unreachable,
  'timed-out': CloseReason.NoAnswer,
  reset: CloseReason.NetworkError,
  'not-permitted': CloseReason.Blocked,
  exhausted: CloseReason.Throttled,
  failed: CloseReason.Unknown,
};

export function errorOf(reason: number): HostError {
  return BY_REASON[reason] ?? 'failed';
}

/** `wasOpen`: it is an open stream that ends, not one that was never made. */
export function reasonOf(error: HostError, wasOpen: boolean): number {
  return wasOpen && error === 'timed-out' ? CloseReason.TransferTimedOut : BY_ERROR[error];
}
