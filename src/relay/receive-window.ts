// How much of a stream its receiver has promised to buffer, in packets. CONTINUE does not add to what the sender has left,
// it replaces it, and crosses packets on their way: who answers with what is free now is sent more than that. So half
// of the buffer is granted each time that half of it has been emptied. What the sender may have sent and nobody has
// taken is then never more than the buffer, however long the way, and a sender who has used up a grant has sent the
// half that brings the next one.

export class ReceiveWindow {
  private readonly half: number;
  private taken = 0;

  /** `packets`: at least 1, the sender knows of them already. */
  constructor(packets: number) {
    this.half = Math.max(1, packets >>> 1);
  }

  /** A packet has left the buffer. The packets to grant now by CONTINUE, or 0. */
  take(): number {
    if (++this.taken < this.half) return 0;
    this.taken = 0;
    return this.half;
  }
}
