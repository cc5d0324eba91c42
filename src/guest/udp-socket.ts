import type { Endpoint } from '../base/addr.ts';

/** What the user of a UDP socket hears. Inside a turn's ingress. */
export interface GuestUdpEvents {
  /** `data` is lent for the call. */
  onDatagram?(data: Uint8Array, from: Endpoint): void;
  /** ICMP said that what was sent to `to` could not be delivered: a code of wire/icmpv4.ts. RFC 1122 4.1.3.3. */
  onUnreachable?(code: number, to: Endpoint): void;
}

/** What a UDP socket needs of its machine. */
export interface UdpOwner {
  sendUdp(fromPort: number, to: Endpoint, payload: Uint8Array): void;
  forgetUdp(socket: GuestUdpSocket): void;
}

/** One UDP port of the embedded guest. */
export class GuestUdpSocket {
  readonly port: number;
  readonly events: GuestUdpEvents;
  private readonly owner: UdpOwner;

  constructor(owner: UdpOwner, port: number, events: GuestUdpEvents) {
    this.owner = owner;
    this.port = port;
    this.events = events;
  }

  /** Sends a copy of `payload`, 0 to 65507 bytes, in fragments where it must be. Lost where the cable has no room. */
  send(to: Endpoint, payload: Uint8Array): void {
    this.owner.sendUdp(this.port, to, payload);
  }

  /** No event after this. */
  close(): void {
    this.owner.forgetUdp(this);
  }
}
