import type { HostError } from '../host/host-network.ts';

/** What the names of the operating system mean to a guest. ECONNRESET and EPIPE both say that the other side is gone. */
const BY_CODE: Readonly<Record<string, HostError>> = {
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'host-unreachable',
  EHOSTDOWN: 'host-unreachable',
  ENETUNREACH: 'net-unreachable',
  ENETDOWN: 'net-unreachable',
  ENONET: 'net-unreachable',
  EAFNOSUPPORT: 'net-unreachable',
  ETIMEDOUT: 'timed-out',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  EACCES: 'not-permitted',
  EPERM: 'not-permitted',
  EMFILE: 'exhausted',
  ENFILE: 'exhausted',
  ENOMEM: 'exhausted',
  ENOBUFS: 'exhausted',
  EAGAIN: 'exhausted',
  EADDRINUSE: 'exhausted',
  // No port is left for another connection to the same remote.
  EADDRNOTAVAIL: 'exhausted',
};

export function toHostError(error: Error): HostError {
  return BY_CODE[errorCode(error)] ?? 'failed';
}

/** `ECONNREFUSED` and its like; empty for an error that is not the operating system's. */
export function errorCode(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}
