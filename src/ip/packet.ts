import { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import * as ipv4 from '../wire/ipv4.ts';

/**
 * Where one frame's layers begin and who it is between. The gateway owns a single Packet and refills it for every
 * frame, so nothing is allocated per frame. Do not store it; copy the fields you need. All offsets are in the arena.
 */
export class Packet {
  /** The switch port it came in by. */
  ingress = 0;
  /** Source MAC, as in base/addr.ts. */
  macHi = 0;
  macLo = 0;
  /** First byte of the IP header. */
  ip = 0;
  /** First byte after the IP header (and after reassembly). */
  l4 = 0;
  /** End of the IP datagram, not of a padded frame. */
  end = 0;
  /** Source and destination, as IPv4 words. */
  src = 0;
  dst = 0;
  /** IPv4 protocol number. */
  proto = 0;

  /**
   * Reads the IPv4 header at [ip, end), where `end` is the end of the frame, and fills in the rest. Drop.None, or why it
   * is none.
   */
  readIpv4(memory: Memory): Drop {
    const v = memory.view;
    const bad = ipv4.check(memory, this.ip, this.end - this.ip);
    if (bad !== Drop.None) return bad;
    this.l4 = this.ip + ipv4.headerLen(v, this.ip);
    // Ethernet's padding ends here.
    this.end = this.ip + ipv4.totalLen(v, this.ip);
    this.src = ipv4.src(v, this.ip);
    this.dst = ipv4.dst(v, this.ip);
    this.proto = ipv4.protocol(v, this.ip);
    return Drop.None;
  }
}
