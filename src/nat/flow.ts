/** Why a flow is over. */
export type FlowEnd =
  | 'closed'
  | 'guest-reset'
  | 'host-reset'
  | 'refused'
  | 'unreachable'
  | 'timed-out'
  | 'idle'
  | 'evicted'
  | 'guest-gone'
  | 'shutdown';
