// Connections to a guest that somebody outside begins: a client of a forward, code of the embedder. The guest's address is
// asked for, a port is found that tells this connection from others, and a flow sends the SYN. No byte of the client is
// read before the guest's SYN-ACK; a guest that refuses, or is not there, makes the client see a reset.

import { ipv4Addr } from '../base/addr.ts';
import { Loss } from '../base/drop.ts';
import type { HostError, HostStream, HostStreamEvents } from '../host/host-network.ts';
import type { Neighbour } from '../ip/neighbours.ts';
import { TcpRoute } from '../ip/output.ts';
import { Protocol } from '../wire/ipv4.ts';
import type { NatContext } from './context.ts';
import type { FlowEnd } from './flow.ts';
import { KEY_WORDS, setKey } from './flow-table.ts';
import type { Flows } from './flows.ts';
import type { TcpFlow } from './tcp-flow.ts';

/** Connections that wait for the guest's address to be found. */
const MAX_PENDING = 256;

/** IPv4 words and ports, as the guest knows both sides. Client port 0: any that is free. */
export interface DialEnds {
  readonly guestAddress: number;
  readonly guestPort: number;
  readonly clientAddress: number;
  readonly clientPort: number;
}

export class GuestDialer {
  private readonly context: NatContext;
  private readonly flows: Flows;
  private readonly key = new Int32Array(KEY_WORDS);
  private pending = 0;

  constructor(context: NatContext, flows: Flows) {
    this.context = context;
    this.flows = flows;
  }

  /**
   * Connects `stream`, open and unread, to a guest. Returns who hears its events; null: too many wait already. `onFound` is
   * called when the guest is known, or known not to be there.
   */
  dial(ends: DialEnds, stream: HostStream, onFound: () => void = () => {}): DialedClient | null {
    const { context } = this;
    if (this.pending >= MAX_PENDING) {
      context.drops.lose(Loss.ForwardUnreachable);
      return null;
    }
    const client = new DialedClient(stream);
    this.pending++;
    context.neighbours.find(ends.guestAddress, context.turn.now, (neighbour) => {
      this.pending--;
      onFound();
      if (!client.closed) this.join(ends, client, neighbour);
    });
    return client;
  }

  private join(ends: DialEnds, client: DialedClient, neighbour: Neighbour | null): void {
    const { context } = this;
    const port = neighbour === null ? undefined : context.ports.port(neighbour.ingress);
    const peer = neighbour === null ? undefined : this.flows.guest(neighbour.ingress);
    if (neighbour === null || port === undefined || peer === undefined) {
      this.refuse(client, 'host-unreachable');
      return;
    }
    const clientPort = this.flows.mayOpenTcp(peer) ? this.freePort(ends, neighbour.ingress) : 0;
    if (clientPort === 0) {
      this.refuse(client, 'exhausted');
      return;
    }
    const { now } = context.turn;
    const { guestAddress, clientAddress } = ends;
    const guest = { addr: ipv4Addr(guestAddress), port: ends.guestPort };
    const remote = { addr: ipv4Addr(clientAddress), port: clientPort };
    const macs = [context.addresses.macOf(clientAddress), neighbour.mac] as const;
    const route = new TcpRoute(context.output, port, macs[0], clientAddress, macs[1], guestAddress);
    const flow = this.flows.openTcp(neighbour.ingress, this.key, { guest, remote, route }, now);
    client.flow = flow;
    flow.startForward(client.stream, now);
    this.flows.announce(flow);
  }

  private refuse(client: DialedClient, why: HostError): void {
    this.context.drops.lose(Loss.ForwardUnreachable);
    client.refusal = why;
    client.stream.reset();
  }

  /** The client's own port where that is free, else another: this.key is set for it. 0: none. */
  private freePort(ends: DialEnds, ingress: number): number {
    const { guestAddress, guestPort, clientAddress, clientPort } = ends;
    const isFree = (port: number): boolean => {
      setKey(this.key, guestAddress, guestPort, clientAddress, port, Protocol.Tcp, ingress);
      return this.flows.tcp.find(this.key) === undefined;
    };
    return clientPort !== 0 && isFree(clientPort) ? clientPort : this.flows.ephemeralPort(isFree);
  }
}

/** A client whose guest is being looked for: hears its stream's events until a flow does. */
export class DialedClient implements HostStreamEvents {
  readonly stream: HostStream;
  closed = false;
  flow: TcpFlow | null = null;
  /** Why there is no flow. */
  refusal: HostError | null = null;

  constructor(stream: HostStream) {
    this.stream = stream;
  }

  /** Why the stream was reset from the guest's side. */
  get why(): HostError {
    if (this.refusal !== null) return this.refusal;
    return this.flow === null || this.flow.ended === null ? 'reset' : errorFor(this.flow.ended);
  }

  onOpen(): void {
    this.flow?.onOpen();
  }

  reserveRead(region: Parameters<HostStreamEvents['reserveRead']>[0]): void {
    if (this.flow === null) region.len = 0;
    else this.flow.reserveRead(region);
  }

  onRead(off: number, len: number): boolean {
    return this.flow?.onRead(off, len) ?? false;
  }

  onWritten(): void {
    this.flow?.onWritten();
  }

  onEnd(): void {
    this.flow?.onEnd();
  }

  onClose(error: HostError | null): void {
    this.closed = true;
    this.flow?.onClose(error);
  }
}

function errorFor(end: FlowEnd): HostError {
  if (end === 'refused' || end === 'timed-out') return end;
  if (end === 'guest-gone' || end === 'unreachable') return 'host-unreachable';
  return 'reset';
}
