// The host's side of a replay: whoever the guests talked to says again what the recording shows, when it shows it. Which
// stream or socket of the engine is which conversation of the recording follows from what is being replayed at the
// moment when the engine asks for it.

import { type Endpoint, ipv4Addr, sameAddr } from '../base/addr.ts';
import type { HostError } from '../host/host-network.ts';
import { type PlayedDatagrams, PlayedHost, type PlayedStream } from '../host/played-host.ts';
import { viewOf } from '../wire/bytes.ts';
import * as dns from '../wire/dns.ts';
import * as icmp from '../wire/icmpv4.ts';
import { Flag } from '../wire/tcp.ts';
import { type DecodedIcmp, type DecodedUdp, endpointText } from './decode.ts';
import { FIRST_FORWARD_PORT, type LearnedForward } from './learned.ts';
import type { SeenSegment, TcpConversation } from './tcp-conversations.ts';

const LOOPBACK = ipv4Addr(0x7f000001);
/** Where the engine's name service asks. Nobody's: what is sent there is answered from the recording. */
const RESOLVER: Endpoint = { addr: ipv4Addr(0x7f000035), port: dns.PORT };
/** Queries that wait for the recording's answer. */
const MAX_QUERIES = 1024;

/** The host's end of one recorded connection. */
export interface HostEnd {
  stream: PlayedStream | null;
  isOver: boolean;
  /** Connections to resolvers, of queries without an answer, where the guest's is one to the engine's own name service. */
  readonly resolvers: PlayedStream[];
  /** Bytes of the recorded stream to the guest that have been used for answers. */
  answered: number;
}

interface Query {
  readonly socket: PlayedDatagrams;
  readonly data: Uint8Array;
}

export class World {
  readonly host = new PlayedHost();
  private readonly forwards: readonly LearnedForward[];
  private readonly ends = new Map<TcpConversation, HostEnd>();
  private readonly peers = new Map<string, { readonly socket: PlayedDatagrams; readonly to: Endpoint }>();
  private queries: Query[] = [];
  /** What is being replayed: a segment of this connection, a datagram of this conversation. */
  private connection: HostEnd | null = null;
  private conversation: string | null = null;

  constructor(forwards: readonly LearnedForward[]) {
    this.forwards = forwards;
    this.host.nameServers = [RESOLVER];
    this.host.onConnect = (stream) => {
      if (isResolver(stream.to)) this.connection?.resolvers.push(stream.open());
      else if (this.connection !== null) this.connection.stream ??= stream;
    };
    this.host.onSend = (socket, data, to) => this.sent(socket, data, to);
  }

  /** Runs `replay`, which has the guest send a segment of `conversation`. */
  during(conversation: TcpConversation, replay: () => void): void {
    this.connection = this.endOf(conversation);
    replay();
    this.connection = null;
  }

  /** The same for a datagram of the guest's from `from` to `to`, of the recording. */
  duringDatagram(from: string, to: string, replay: () => void): void {
    this.conversation = `${from} ${to}`;
    replay();
    this.conversation = null;
  }

  endOf(conversation: TcpConversation): HostEnd {
    let end = this.ends.get(conversation);
    if (end === undefined) {
      end = { stream: null, isOver: false, resolvers: [], answered: 0 };
      this.ends.set(conversation, end);
    }
    return end;
  }

  /** The other side of a recorded connection has accepted it, as is known from what the guest does. */
  accepts(conversation: TcpConversation): void {
    const { stream } = this.endOf(conversation);
    if (stream?.state === 'connecting') stream.open();
  }

  /** What the other side of a recorded connection must have said for the network to send this segment. */
  says(seen: SeenSegment): void {
    const { conversation, segment, fresh } = seen;
    const end = this.endOf(conversation);
    if (conversation.isInbound && seen.isNew) {
      this.connects(conversation, end);
      return;
    }
    const { stream } = end;
    if (end.resolvers.length > 0) resolveFramed(conversation, end);
    if (stream === null) return;
    if (segment.flags & Flag.Rst) {
      end.isOver = true;
      if (conversation.networkReset) stream.fail(stream.state === 'connecting' ? 'refused' : 'reset');
      return;
    }
    if (end.isOver) return;
    if (stream.state === 'connecting') stream.open();
    if (fresh.length > 0) stream.gives(fresh);
    if (conversation.toGuest.isWhole) {
      end.isOver = true;
      stream.ends();
    }
  }

  /** A datagram of the recorded network from `remote` to a guest. `isDns`: from its name service. */
  saysDatagram(
    guest: readonly [number, number],
    remote: readonly [number, number],
    datagram: DecodedUdp,
    isDns: boolean,
  ): void {
    const { payload } = datagram;
    if (isDns) {
      this.resolves(payload);
      return;
    }
    const peer = this.peers.get(`${endpointText(...guest)} ${endpointText(...remote)}`);
    if (peer !== undefined) {
      peer.socket.gives(payload, peer.to);
      return;
    }
    const socket = this.socketOf('udp', ...guest);
    socket?.gives(payload, { addr: ipv4Addr(remote[0]), port: remote[1] });
  }

  /** An ICMP error of the recorded network about a connection or a datagram of a guest's. */
  saysError(
    about: NonNullable<DecodedIcmp['quoted']>,
    code: number,
    connection: TcpConversation | undefined,
  ): void {
    if (connection !== undefined) {
      const { stream } = this.endOf(connection);
      if (stream?.state === 'connecting') stream.fail(ERRORS[code] ?? 'host-unreachable');
      return;
    }
    const key = `${endpointText(about.src, about.srcPort)} ${endpointText(about.dst, about.dstPort)}`;
    if (code === icmp.Code.Port) this.peers.get(key)?.socket.fails('refused');
  }

  private sent(socket: PlayedDatagrams, data: Uint8Array, to: Endpoint): void {
    if (isResolver(to)) {
      if (this.queries.length < MAX_QUERIES) this.queries.push({ socket, data });
      return;
    }
    if (this.conversation !== null) this.peers.set(this.conversation, { socket, to });
  }

  /** The recorded answer, with the id of the engine's own query, to whoever asked the same question. */
  private resolves(answer: Uint8Array): void {
    this.queries = this.queries.filter(({ socket }) => !socket.closed);
    const at = this.queries.findIndex(({ data }) => isAbout(answer, data));
    const query = this.queries[at];
    if (query === undefined) return;
    this.queries.splice(at, 1);
    const copy = Uint8Array.from(answer);
    dns.setId(viewOf(copy), 0, dns.id(viewOf(query.data), 0));
    query.socket.gives(copy, RESOLVER);
  }

  private connects(conversation: TcpConversation, end: HostEnd): void {
    const { guestAddress, guestPort, remoteAddress, remotePort } = conversation;
    const at = this.forwardAt('tcp', guestAddress, guestPort);
    if (at === null) return;
    end.stream = this.host.connects(at, { addr: ipv4Addr(remoteAddress), port: remotePort });
  }

  private forwardAt(proto: 'tcp' | 'udp', address: number, port: number): Endpoint | null {
    const at = this.forwards.findIndex(
      (one) => one.proto === proto && one.guestAddress === address && one.guestPort === port,
    );
    return at < 0 ? null : { addr: LOOPBACK, port: FIRST_FORWARD_PORT + at };
  }

  private socketOf(proto: 'udp', address: number, port: number): PlayedDatagrams | undefined {
    const at = this.forwardAt(proto, address, port);
    return at === null ? undefined : this.host.sockets.find((one) => !one.closed && one.at?.port === at.port);
  }
}

const ERRORS: Readonly<Record<number, HostError>> = {
  [icmp.Code.Net]: 'net-unreachable',
  [icmp.Code.Host]: 'host-unreachable',
  [icmp.Code.Port]: 'refused',
  [icmp.Code.NetProhibited]: 'not-permitted',
  [icmp.Code.HostProhibited]: 'not-permitted',
  [icmp.Code.Prohibited]: 'not-permitted',
};

function isResolver({ addr, port }: Endpoint): boolean {
  return port === RESOLVER.port && sameAddr(addr, RESOLVER.addr);
}

/** Whole answers of a recorded connection to a name service go to whoever asked, as resolves() does. RFC 7766 8. */
function resolveFramed({ toGuest }: TcpConversation, end: HostEnd): void {
  const bytes = toGuest.bytes(end.answered);
  const view = viewOf(bytes);
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = view.getUint16(at);
    if (at + 2 + length > bytes.length) return;
    const answer = bytes.subarray(at + 2, at + 2 + length);
    const asked = end.resolvers.findIndex((one) => isAbout(answer, one.written.subarray(2)));
    const [stream] = asked < 0 ? [] : end.resolvers.splice(asked, 1);
    if (stream !== undefined) {
      const framed = bytes.slice(at, at + 2 + length);
      dns.setId(viewOf(framed), 2, dns.id(viewOf(stream.written), 2));
      stream.gives(framed);
    }
    at += 2 + length;
    end.answered += 2 + length;
  }
}

/** Has the answer the query's one question? Answers with another case of letters are the engine's own matter. */
function isAbout(answer: Uint8Array, query: Uint8Array): boolean {
  const [a, q] = [viewOf(answer), viewOf(query)];
  if (answer.length < dns.HEADER_LEN || query.length < dns.HEADER_LEN) return false;
  return dns.answers(a, 0, answer.length, dns.id(a, 0), withId(q, dns.id(a, 0)), 0, query.length);
}

function withId(query: DataView, id: number): DataView {
  const copy = Uint8Array.from(new Uint8Array(query.buffer, query.byteOffset, query.byteLength));
  const view = viewOf(copy);
  dns.setId(view, 0, id);
  return view;
}
