import type { HostError } from '../host/host-network.ts';
import { Code } from '../wire/icmpv4.ts';
import type { FlowEnd } from './flow.ts';

/** What a guest is told when the host could not connect: an ICMP code of Type.Unreachable, or -1 for a reset. */
export function icmpCodeFor(error: HostError): number {
  switch (error) {
    case 'host-unreachable':
      return Code.Host;
    case 'net-unreachable':
      return Code.Net;
    case 'not-permitted':
      return Code.Prohibited;
    default:
      return -1;
  }
}

/** How a flow that never opened is booked. */
export function endFor(error: HostError): FlowEnd {
  switch (error) {
    case 'host-unreachable':
    case 'net-unreachable':
    case 'not-permitted':
      return 'unreachable';
    case 'timed-out':
      return 'timed-out';
    default:
      return 'refused';
  }
}
