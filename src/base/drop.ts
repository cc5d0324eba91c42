// Why a frame stopped, and why something was lost later. Two lists: a Drop is the verdict on a frame that came in, one
// for each frame, so that the verdicts of a network add up to its frames; a Loss is what happens to something that was
// accepted before. Add a reason here first, then the test that provokes it: test/drops.test.ts fails without.

/** The verdict on one frame from a guest. */
export const Drop = {
  /** Not dropped: it reached what it was for. */
  None: 0,
  /** Frame shorter than the 14-byte Ethernet header. */
  EthernetTooShort: 1,
  /** EtherType we do not speak: not ARP and not IPv4. */
  EthernetUnknownType: 2,
  /** A VLAN tag (802.1Q, 802.1ad): there is one network behind a link. */
  EthernetVlan: 3,
  /** Source MAC is a group address or one of the gateway's own. */
  EthernetBadSource: 4,
  /** A group or foreign destination that nobody here serves, with no other guest to flood it to. */
  EthernetNotForUs: 5,
  /** ARP that is not for IPv4 over Ethernet, too short, or neither request nor reply. RFC 826. */
  ArpMalformed: 6,
  /** An ARP request for an address that is not ours. Announcements and probes end here. RFC 5227. */
  ArpNotForUs: 7,
  /** Version is not 4 or the header is shorter than 20 bytes. RFC 791 3.1. */
  Ipv4BadHeader: 8,
  /** Total Length smaller than the header or larger than the frame. RFC 1122 3.2.1. */
  Ipv4BadLength: 9,
  /** Header checksum wrong. RFC 1122 3.2.1.2: MUST silently discard. */
  Ipv4BadChecksum: 10,
  /** Source is not of this network, or is the gateway's, a broadcast or multicast address. RFC 1122 3.2.1.3. */
  Ipv4BadSource: 11,
  /** Destination that never leaves for the host: loopback, 0/8, 240/4, unowned addresses of this network. */
  Ipv4NotRouted: 12,
  /** Group or broadcast destination that no service listens on. */
  Ipv4GroupNotServed: 13,
  /** TTL zero on arrival. RFC 1122 3.2.1.7. */
  Ipv4TtlZero: 14,
  /** A protocol other than TCP, UDP and ICMP: answered with ICMP protocol unreachable. RFC 1122 3.2.2.1. */
  Ipv4UnknownProtocol: 15,
  /** A fragment that would end beyond 65535, or has a length that is not a multiple of 8 before the last. */
  FragmentBad: 16,
  /** A fragment for which there was no buffer. */
  FragmentNoRoom: 17,
  /** ICMP from a guest: dropped by design, user-mode networking has no raw sockets. */
  IcmpByDesign: 18,
  /** Shorter than its header says, or than a UDP header. RFC 768. */
  UdpBadLength: 19,
  /** Checksum over pseudo-header and datagram wrong. RFC 1122 4.1.3.4. */
  UdpBadChecksum: 20,
  /** A port of the gateway that no service holds: answered with ICMP port unreachable. */
  UdpNoService: 21,
  /** Port zero. RFC 768. */
  UdpPortZero: 22,
  /** The host socket's queue is full. */
  UdpHostQueueFull: 23,
  /** Data offset below 5 or past the end of the segment. RFC 9293 3.1. */
  TcpBadOffset: 24,
  /** Checksum over pseudo-header and segment wrong. RFC 9293 3.1. */
  TcpBadChecksum: 25,
  /** Port zero. */
  TcpPortZero: 26,
  /** No flow and not a SYN: answered with a reset, unless it is one. RFC 9293 3.10.7.1. */
  TcpNoFlow: 27,
  /** A SYN over the limit of flows or of pending connects of its guest: answered with a reset. */
  TcpFlowsFull: 28,
  /** Outside the window, or an acknowledgment of what was never sent. RFC 9293 3.10.7.4. */
  TcpNotAcceptable: 29,
  /** In the window, and no room in the arena: comes again, because it was not acknowledged. */
  TcpArenaFull: 30,
  /** The policy says no: answered with a reset or ICMP prohibited. */
  PolicyDenied: 31,
  /** A message to a service that makes no sense to it: DHCP. */
  DhcpMalformed: 32,
  /** A DHCP message for another server, or one that asks for silence. RFC 2131 4.3.2. */
  DhcpNotForUs: 33,
  /** The DHCP pool is exhausted. */
  DhcpPoolEmpty: 34,
  /** A message to the name service that is no query. */
  DnsMalformed: 35,
  /** More queries under way than the limit. */
  DnsBusy: 36,
  /** The other guest's link had no room. */
  LinkQueueFull: 37,
  /** Longer than the link it is for can take. */
  LinkFrameTooLong: 38,
  /** A frame that the engine of a closed network was still given. */
  NetworkClosed: 39,
  /** A frame for all other guests, more than one guest may send in a second, and the gateway has no use for it. */
  EthernetFloodLimited: 40,
} as const;
export type Drop = (typeof Drop)[keyof typeof Drop];
/** Why a frame from a guest went no further, by name. */
export type DropName = keyof typeof Drop;

/** Names in code order: dropNames[Drop.Ipv4BadChecksum] === 'Ipv4BadChecksum'. */
export const dropNames = Object.keys(Drop) as readonly DropName[];

/** What was lost, refused or given up after its frame had been accepted, or without any frame. */
export const Loss = {
  /** A frame for a guest whose link had no room: a datagram, an ICMP error, an ARP request, a copy of a flood. */
  LinkQueueFull: 0,
  /** A datagram from the host that no filter of the flow lets in. RFC 4787 5. */
  UdpFiltered: 1,
  /** A UDP flow that went to make room for another of the same guest. */
  UdpFlowEvicted: 2,
  /** A datagram set that was never complete: 30 s passed, or it had to make room. RFC 791 3.2. */
  FragmentsExpired: 3,
  /** A frame for a guest whose MAC nobody knows after asking. RFC 1122 2.3.2.2. */
  NeighbourUnknown: 4,
  /** An ICMP error not sent because of the rate limit. RFC 1812 4.3.2.8. */
  IcmpRateLimited: 5,
  /** A challenge ACK or reset not sent because of the rate limit. RFC 5961 7. */
  ChallengeRateLimited: 6,
  /** No more host sockets for this process. */
  HostSocketsExhausted: 7,
  /** A SYN beyond the limit of connects that wait for the host. */
  PendingConnectsFull: 8,
  /** A segment that was left unacknowledged because the arena had no room. */
  ArenaFull: 9,
  /** A learned MAC that went because the table was full. */
  MacEvicted: 10,
  /** A connection to a forward that ended because no guest could be reached. */
  ForwardUnreachable: 11,
  /** Duplicate or overlapping bytes of fragments that came before: the first stay. */
  FragmentOverlap: 12,
  /** A name query that no resolver answered in time. */
  DnsUnanswered: 13,
  /** A copy of a flood, longer than the link it was for can take. */
  LinkFrameTooLong: 14,
  /** A remote that a UDP flow has forgotten, because the guest has sent to too many: its answers are filtered now. */
  UdpRemoteEvicted: 15,
  /** A client that a UDP forward has forgotten, because there are too many. */
  ForwardClientEvicted: 16,
  /** A guest address that was forgotten because the table was full. */
  NeighbourEvicted: 17,
  /** A frame that was for all other guests and reached none, because its guest has sent so many. */
  FloodLimited: 18,
  /** A frame that an emulator handed over and its port had no room for: faster than the engine takes them. */
  PortQueueFull: 19,
  /** The same, longer than the port takes. */
  PortFrameTooLong: 20,
} as const;
export type Loss = (typeof Loss)[keyof typeof Loss];
/** What of ours was lost on its way to a guest, and why, by name. */
export type LossName = keyof typeof Loss;

/** All of them, at the index that Loss has. */
export const lossNames = Object.keys(Loss) as readonly LossName[];

/** One counter for each name. */
class Counters {
  private readonly names: readonly string[];
  private readonly counts: Float64Array;

  constructor(names: readonly string[]) {
    this.names = names;
    this.counts = new Float64Array(names.length);
  }

  count(code: number, times = 1): void {
    this.counts[code]! += times;
  }

  get(code: number): number {
    return this.counts[code]!;
  }

  /** Non-zero counters by name, the first of `skip` left out. */
  snapshot(skip = 0): Record<string, number> {
    const out: Record<string, number> = {};
    for (const [code, name] of this.names.entries()) {
      const n = this.counts[code]!;
      if (n > 0 && code >= skip) out[name] = n;
    }
    return out;
  }
}

/** Both lists of one network. */
export class DropCounters {
  private readonly drops = new Counters(dropNames);
  private readonly losses = new Counters(lossNames);

  /** The verdict on one frame; Drop.None counts the frames that were accepted. */
  verdict(drop: Drop): void {
    this.drops.count(drop);
  }

  /** The verdict Drop.None on `frames` at once. */
  accept(frames: number): void {
    this.drops.count(Drop.None, frames);
  }

  /** Frames that reached what they were for. */
  get accepted(): number {
    return this.drops.get(Drop.None);
  }

  lose(loss: Loss): void {
    this.losses.count(loss);
  }

  dropped(drop: Drop): number {
    return this.drops.get(drop);
  }

  lost(loss: Loss): number {
    return this.losses.get(loss);
  }

  /** Non-zero reasons by name, without `None`. */
  dropSnapshot(): Record<string, number> {
    return this.drops.snapshot(1);
  }

  lossSnapshot(): Record<string, number> {
    return this.losses.snapshot();
  }
}
