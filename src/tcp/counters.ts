/** What the connections of one endpoint have done since the start. */
export class TcpCounters {
  segmentsIn = 0;
  segmentsOut = 0;
  /** Data bytes sent a second time or more. */
  retransmittedBytes = 0;
  retransmits = 0;
  /** Recoveries that began without a timeout. */
  fastRetransmits = 0;
  /** Recoveries, those of timeouts included, that turned out to have been none. */
  undone = 0;
  /** RFC 8985 7. */
  tailLossProbes = 0;
  /** Times that the retransmission timer fired. */
  timeouts = 0;
  resetsOut = 0;
  /** RFC 5961. */
  challengeAcks = 0;
  /** Segments whose data came ahead of its turn. */
  outOfOrder = 0;
  /** Zero-window probes sent. */
  windowProbes = 0;
}
