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
}
