// What a guest knows of its connections: read from the frames that it is sent. A conversation goes on as far as these
// tell what the engine expects.

/** One connection as its guest sees it. Sequence numbers are the engine's unless it is said otherwise, signed words. */
export class Seen {
  readonly guest: number;
  readonly ownPort: number;
  readonly remotePort: number;
  readonly remote: number;
  /** The engine's initial sequence number, and up to where its bytes have come in order. */
  irs = 0;
  nxt = 0;
  /** End of what it has sent. */
  max = 0;
  /** The text that it has sent again last, and how often it has done so. */
  resentFrom = 0;
  resentTo = 0;
  resends = 0;
  /** What the engine has acknowledged last, and the window it gave, scaled. */
  ack = 0;
  wnd = 0;
  wndShift = 0;
  /** Its latest timestamp; `stamps`: it sends them. */
  tsVal = 0;
  stamps = false;
  sack = false;
  /** Of the latest segment. */
  flags = 0;
  /** It has sent SYN, FIN, RST. */
  syn = false;
  fin = false;
  rst = false;

  constructor(guest: number, ownPort: number, remote: number, remotePort: number) {
    this.guest = guest;
    this.ownPort = ownPort;
    this.remote = remote;
    this.remotePort = remotePort;
  }
}

const MOST = 512;

export class SeenTable {
  /** Oldest first. */
  private readonly all = new Map<number, Seen>();

  find(guest: number, ownPort: number, remotePort: number): Seen | undefined {
    return this.all.get(keyOf(guest, ownPort, remotePort));
  }

  /** The frame at [off, off+len), for `guest`: TCP in IPv4 without options of IP, or nothing happens. */
  note(v: DataView, off: number, len: number, guest: number): Seen | null {
    if (len < 54 || v.getUint8(off + 14) !== 0x45 || v.getUint8(off + 23) !== 6) return null;
    const tcp = off + 34;
    const ownPort = v.getUint16(tcp + 2);
    const remotePort = v.getUint16(tcp);
    const key = keyOf(guest, ownPort, remotePort);
    let seen = this.all.get(key);
    const flags = v.getUint8(tcp + 13);
    const remote = v.getInt32(off + 26);
    if (seen === undefined || seen.remote !== remote) {
      if (this.all.size >= MOST) for (const oldest of this.all.keys()) if (this.all.delete(oldest)) break;
      seen = new Seen(guest, ownPort, remote, remotePort);
      this.all.delete(key);
      this.all.set(key, seen);
    }
    this.take(seen, v, off, flags);
    return seen;
  }

  private take(seen: Seen, v: DataView, off: number, flags: number): void {
    const tcp = off + 34;
    const header = (v.getUint8(tcp + 12) >>> 4) * 4;
    const dataLen = v.getUint16(off + 16) - 20 - header;
    const seq = v.getInt32(tcp + 4);
    seen.flags = flags;
    if (flags & 4) seen.rst = true;
    if (flags & 16) seen.ack = v.getInt32(tcp + 8);
    if (flags & 2) {
      if (seq !== seen.irs) seen.fin = false;
      seen.rst = false;
      seen.syn = true;
      seen.irs = seq;
      seen.nxt = (seq + 1) | 0;
      seen.max = seen.nxt;
      this.takeOptions(seen, v, tcp + 20, tcp + header);
      seen.wnd = v.getUint16(tcp + 14);
      return;
    }
    this.takeOptions(seen, v, tcp + 20, tcp + header);
    seen.wnd = v.getUint16(tcp + 14) << seen.wndShift;
    const end = (seq + dataLen + (flags & 1)) | 0;
    if (((end - seen.max) | 0) > 0) seen.max = end;
    else if (dataLen > 0) {
      seen.resentFrom = seq;
      seen.resentTo = end;
      seen.resends++;
    }
    if (((seq - seen.nxt) | 0) <= 0 && ((end - seen.nxt) | 0) > 0) {
      seen.nxt = end;
      if (flags & 1) seen.fin = true;
    }
  }

  /** What the engine sends is well-formed. */
  private takeOptions(seen: Seen, v: DataView, from: number, end: number): void {
    for (let at = from; at < end; ) {
      const kind = v.getUint8(at);
      if (kind === 0) return;
      if (kind === 1) {
        at++;
        continue;
      }
      const len = v.getUint8(at + 1);
      if (len < 2) throw new Error('a TCP option of the engine is malformed');
      if (kind === 3) seen.wndShift = v.getUint8(at + 2);
      else if (kind === 4) seen.sack = true;
      else if (kind === 8) {
        seen.stamps = true;
        seen.tsVal = v.getInt32(at + 2);
      }
      at += len;
    }
  }
}

function keyOf(guest: number, ownPort: number, remotePort: number): number {
  return (guest * 65536 + ownPort) * 65536 + remotePort;
}
