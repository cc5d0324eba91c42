import { type Random, randomBelow } from '../base/random.ts';
import type { Acceptor, GuestSocket } from './tcp-socket.ts';
import type { GuestUdpSocket } from './udp-socket.ts';

/** RFC 6335 6. */
const FIRST_EPHEMERAL = 49152;
const EPHEMERAL = 16384;

/** The connections, listeners and UDP ports of one machine, which has one address. */
export class SocketTable {
  readonly listeners = new Map<number, Acceptor>();
  readonly udp = new Map<number, GuestUdpSocket>();
  /** By own port times 65536 plus peer port; more than one only where peers differ in their address. */
  private readonly tcp = new Map<number, GuestSocket[]>();
  private readonly ports = new Map<number, number>();
  private nextPort: number;

  constructor(random: Random) {
    this.nextPort = randomBelow(random, EPHEMERAL);
  }

  find(ownPort: number, peer: number, peerPort: number): GuestSocket | undefined {
    const list = this.tcp.get(ownPort * 65536 + peerPort);
    if (list === undefined) return undefined;
    for (const socket of list) if (socket.peer.addr.w3 === peer) return socket;
    return undefined;
  }

  add(socket: GuestSocket): void {
    const key = socket.own.port * 65536 + socket.peer.port;
    const list = this.tcp.get(key);
    if (list === undefined) this.tcp.set(key, [socket]);
    else list.push(socket);
    this.ports.set(socket.own.port, (this.ports.get(socket.own.port) ?? 0) + 1);
  }

  delete(socket: GuestSocket): void {
    const key = socket.own.port * 65536 + socket.peer.port;
    const list = this.tcp.get(key)?.filter((one) => one !== socket) ?? [];
    if (list.length === 0) this.tcp.delete(key);
    else this.tcp.set(key, list);
    const left = (this.ports.get(socket.own.port) ?? 1) - 1;
    if (left === 0) this.ports.delete(socket.own.port);
    else this.ports.set(socket.own.port, left);
  }

  /** All connections, in the order of their making as far as that matters to nobody. */
  sockets(): GuestSocket[] {
    return [...this.tcp.values()].flat();
  }

  /** A port that neither protocol uses, or 0 when there is none. */
  freePort(): number {
    for (let i = 0; i < EPHEMERAL; i++) {
      const port = FIRST_EPHEMERAL + this.nextPort;
      this.nextPort = (this.nextPort + 1) % EPHEMERAL;
      if (!this.ports.has(port) && !this.listeners.has(port) && !this.udp.has(port)) return port;
    }
    return 0;
  }
}
