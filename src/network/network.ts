// The composition root: builds everything, once, in order. The only file that knows all parts.

import { formatEndpoint } from '../base/addr.ts';
import { Arena } from '../base/arena.ts';
import type { Clock } from '../base/clock.ts';
import { DropCounters, Loss } from '../base/drop.ts';
import { createMemory } from '../base/memory.ts';
import type { Settings } from '../base/settings.ts';
import { Timers } from '../base/timers.ts';
import { Turn } from '../base/turn.ts';
import type { ByteStream } from '../host/byte-stream.ts';
import { HostBindError, type HostNetwork } from '../host/host-network.ts';
import { Addresses } from '../ip/addresses.ts';
import { IcmpErrors } from '../ip/icmp.ts';
import { GatewayCard } from '../ip/input.ts';
import { Ipv4Input } from '../ip/ipv4-input.ts';
import { Neighbours } from '../ip/neighbours.ts';
import { Ipv4Output } from '../ip/output.ts';
import { Reassembly } from '../ip/reassembly.ts';
import { UdpPorts } from '../ip/udp-ports.ts';
import { FramePort, MAX_PORT_FRAME } from '../link/frame-port.ts';
import type { Link } from '../link/link.ts';
import { CodeSockets } from '../nat/code-sockets.ts';
import type { NatContext } from '../nat/context.ts';
import { GuestDialer } from '../nat/dial.ts';
import type { Flow, FlowEnd } from '../nat/flow.ts';
import { Forwards } from '../nat/forwards.ts';
import { NatInput } from '../nat/input.ts';
import { Policy } from '../nat/policy.ts';
import { DhcpServer } from '../services/dhcp-server.ts';
import { DnsRelay } from '../services/dns-relay.ts';
import type { GatewayPorts, Service } from '../services/service.ts';
import { type Port, Switch } from '../switch/switch.ts';
import { newCongestion } from '../tcp/controls.ts';
import { TcpCounters } from '../tcp/counters.ts';
import { Isn } from '../tcp/isn.ts';
import type { TcpEnv } from '../tcp/tcb.ts';
import { CodeAccess, type VirtualListener, type VirtualUdp, type Waiting } from './code-access.ts';
import type { NetworkConfig } from './config.ts';
import { parseConfig } from './config.ts';
import {
  type EventHandler,
  EventListeners,
  type EventName,
  type ListenOptions,
  type NetworkEvents,
  thrownBy,
} from './events.ts';
import { type Forward, ForwardList } from './forward-list.ts';
import { LinkHistory } from './link-history.ts';
import type { NetworkParts, PortOptions } from './parts.ts';
import type { FlowStats, NetworkStats } from './stats.ts';

/** Throws a ConfigError that names the setting. */
export function createNetwork(config: NetworkConfig, parts: NetworkParts): Network {
  return new Network(parseConfig(config), parts);
}

/** A virtual network: links with guests on one side, a host's sockets on the other. Made by createNetwork(). */
export class Network {
  readonly settings: Settings;
  readonly arena: Arena;
  readonly turn: Turn;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Host ports that lead to a guest. */
  readonly forward: ForwardList;
  private readonly drops = new DropCounters();
  private readonly counters = new TcpCounters();
  private readonly host: HostNetwork;
  private readonly listeners = new EventListeners();
  private readonly history = new LinkHistory();
  private readonly hub: Switch;
  private readonly reassembly: Reassembly;
  private readonly neighbours: Neighbours;
  private readonly icmp: IcmpErrors;
  private readonly nat: NatInput;
  private readonly forwards: Forwards;
  private readonly sockets: CodeSockets;
  private readonly code: CodeAccess;
  private readonly services: Service[] = [];
  private readonly dhcp: DhcpServer | null;
  private readonly startedAt: number;
  private portsNamed = 0;
  private closing: Promise<void> | null = null;

  constructor(settings: Settings, parts: NetworkParts) {
    const { clock, random, host } = parts;
    this.settings = settings;
    this.clock = clock;
    this.host = host;
    for (const [name, handler] of Object.entries(parts.on ?? {}))
      this.on(name as EventName, handler as EventHandler<EventName>);
    this.startedAt = clock.now();
    this.arena = new Arena(createMemory(settings.limits.arenaBytes, parts.makeView, parts.kernel));
    this.turn = new Turn(clock);
    this.timers = new Timers(clock, this.turn);
    const { arena, turn, timers, drops } = this;
    host.start({ arena, turn, clock });

    const addresses = new Addresses(settings);
    // The switch is built before the card it leads to.
    const card: { input: GatewayCard | null } = { input: null };
    this.hub = new Switch(
      { arena, turn, clock, timers, drops, macLimit: settings.limits.macs },
      {
        owns: (hi, lo) => addresses.ownsMac(hi, lo),
        endRun: () => this.nat.train.end(),
        onFrames: (frames, ingress) => this.nat.train.take(frames, ingress),
        onFrame: (off, len, ingress, now) => card.input!.onFrame(off, len, ingress, now),
      },
      {
        onPortDown: (port, reason) => this.portDown(port, reason),
        onPortWritable: (port) => this.nat.flows.portWritable(port.id),
      },
    );
    const output = new Ipv4Output(arena, settings.mtu, random);
    this.icmp = new IcmpErrors(arena, output, drops);
    this.reassembly = new Reassembly(arena, timers, drops);
    this.neighbours = new Neighbours(arena, timers, drops, addresses, this.hub, settings.limits.macs);
    const udpPorts = new UdpPorts(arena, addresses, this.hub, output, drops);
    const context: NatContext = {
      ...{ settings, arena, turn, timers, random, drops, addresses, output, host },
      ports: this.hub,
      neighbours: this.neighbours,
      icmp: this.icmp,
      policy: new Policy(settings),
      tcp: this.tcpEnv(),
      isn: new Isn(random),
      events: {
        onOpen: (flow) => this.flowOpened(flow),
        onEnd: (flow, reason) => this.flowEnded(flow, reason),
      },
    };
    this.nat = new NatInput(context, udpPorts);
    const dialer = new GuestDialer(context, this.nat.flows);
    const onLost = (message: string): void => this.listeners.emit('error', { message });
    this.forwards = new Forwards(context, this.nat.flows, dialer, onLost);
    this.forward = new ForwardList(settings, this.forwards, this.nat);
    const onThrow = (error: unknown): void =>
      this.listeners.emit('error', thrownBy('a callback of a socket', error));
    this.sockets = new CodeSockets(context, this.nat, udpPorts, dialer, onThrow);
    this.code = new CodeAccess(settings, addresses, this.sockets);
    const { hub: ports, reassembly, icmp } = this;
    const ipv4 = new Ipv4Input({ arena, addresses, ports, reassembly, icmp }, this.nat);
    card.input = new GatewayCard(arena, addresses, ports, this.neighbours, ipv4);

    this.dhcp = settings.dhcp === null ? null : this.dhcpServer(settings.dhcp);
    if (this.dhcp !== null) this.services.push(this.dhcp);
    if (settings.dns !== null && !settings.restrict)
      this.services.push(new DnsRelay(random, host, settings, settings.dns, drops));
    const gatewayPorts = this.gatewayPorts(udpPorts);
    for (const service of this.services) service.start(gatewayPorts);
  }

  /**
   * Binds the forwards of the configuration, and resolves to them in its order. Rejects with one HostBindError that names
   * the first that failed; then none of them is bound. Called again, the same: they are bound once.
   */
  start(): Promise<readonly Forward[]> {
    return this.forward.openAll();
  }

  /** Calls `handler` for each event of that name, until what is returned is called or the signal aborts. */
  on<Name extends EventName>(name: Name, handler: EventHandler<Name>, options?: ListenOptions): () => void {
    return this.listeners.on(name, handler, options);
  }

  /** The next event of that name. Rejects with the signal's reason. */
  once<Name extends EventName>(name: Name, options?: ListenOptions): Promise<NetworkEvents[Name]> {
    return this.listeners.once(name, options);
  }

  /**
   * Plugs a guest's cable in. Throws when the network is closed, the link is attached already, another one has its name,
   * it takes no frames of the network's mtu, or the arena has no room for its buffers.
   */
  attach(link: Link): void {
    const refusal = this.refusalOf(link);
    if (refusal !== null) throw new Error(refusal);
    this.hub.plug(link);
    this.listeners.emit('guest-up', { link: link.name });
  }

  /** Closes a guest's link; its flows end. Resolves when the arena has its buffers back. Throws where it is not attached. */
  detach(link: Link): Promise<void> {
    for (const port of this.hub.allPorts()) if (port.link === link) return this.unplug(port, 'unplugged');
    throw new Error(`link ${link.name}: is not attached`);
  }

  /** The simplest way to plug in a guest whose emulator is in this process. Throws as attach() does. */
  attachPort(options: PortOptions): FramePort {
    const { toGuest, poison } = options;
    const needed = this.settings.mtu + 14;
    const maxFrame = options.maxFrame ?? needed;
    if (typeof toGuest !== 'function') throw new TypeError('toGuest: is not a function');
    if (!Number.isInteger(maxFrame) || maxFrame < needed || maxFrame > MAX_PORT_FRAME)
      throw new RangeError(`maxFrame: ${maxFrame} is not within ${needed} to ${MAX_PORT_FRAME}`);
    const name = options.name ?? `port${this.portsNamed++}`;
    const onThrow = (error: unknown): void =>
      this.listeners.emit('error', thrownBy(`${name}: toGuest`, error));
    const port = new FramePort({
      ...{ name, maxFrame, toGuest, poison, onThrow },
      onLost: (why, length) => this.portLost(port, why, length),
    });
    this.attach(port);
    return port;
  }

  /**
   * A connection to a server in a guest, at "10.0.2.15:80" or a port of the first guest, from the gateway's address and
   * without a port of the host. Rejects with a ConnectError, or with the signal's reason.
   */
  connectTcp(guest: string, options: Waiting = {}): Promise<ByteStream> {
    if (this.closing !== null) return Promise.reject(new Error(CLOSED));
    return this.code.connectTcp(guest, options);
  }

  /**
   * Guests' connections to `at`, a port of the gateway or "192.0.2.1:80", end here instead of at the host. Throws a
   * ConfigError, or a HostBindError where the port is taken.
   */
  listenTcp(at: string, onConnection: (stream: ByteStream) => void, options: Waiting = {}): VirtualListener {
    if (this.closing !== null) throw new Error(CLOSED);
    return this.code.listenTcp(at, onConnection, options);
  }

  /** A UDP port of the gateway; `data` is given. Throws as listenTcp() does. */
  openUdp(
    at: string,
    onDatagram: (data: Uint8Array, from: string) => void,
    options: Waiting = {},
  ): VirtualUdp {
    if (this.closing !== null) throw new Error(CLOSED);
    return this.code.openUdp(at, onDatagram, options);
  }

  /** Counters since the network was made, and what there is now. A snapshot, made for the call. */
  stats(): NetworkStats {
    const now = this.clock.now();
    const { flows } = this.nat;
    return {
      uptime: now - this.startedAt,
      flows: {
        tcp: flows.count('tcp'),
        udp: flows.count('udp'),
        tcpOpened: flows.tcpOpened,
        udpOpened: flows.udpOpened,
      },
      links: this.history.with(this.hub.allPorts()),
      leases: this.dhcp?.leases(now) ?? [],
      tcp: { ...this.counters },
      drops: this.drops.dropSnapshot(),
      accepted: this.drops.accepted,
      losses: this.drops.lossSnapshot(),
      arena: { size: this.arena.size, used: this.arena.used },
      timers: this.timers.armed,
    };
  }

  /**
   * What each open flow is doing: those that moved the most bytes first, `most` of them where that is said. Made for the
   * call: ask as often as somebody looks, not as often as something happens.
   */
  flows(most: number = Number.POSITIVE_INFINITY): FlowStats[] {
    const now = this.clock.now();
    return this.nat.flows.busiest(most).map((flow) => flow.stats(now));
  }

  /** Ends the flow of that number, one of flows(), with a reset both ways. False when there is none. */
  kill(id: number): boolean {
    const flow = this.nat.flows.byId(id);
    if (flow === undefined) return false;
    this.turn.run(() => flow.abort('killed'));
    return true;
  }

  /** Resets every flow on both sides, closes services, links and host. Resolves when nothing of it is left. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async closeAll(): Promise<void> {
    // From inside a callback: what follows is a turn of its own, and in this order.
    while (this.turn.isRunning) await new Promise<void>((resolve) => this.clock.soon(resolve));
    this.turn.run(() => {
      this.forwards.close();
      this.sockets.stop();
      this.nat.flows.close();
      for (const service of this.services) service.stop();
    });
    await Promise.all([...this.hub.allPorts()].map((port) => this.unplug(port, CLOSED)));
    await this.host.close();
    this.sockets.close();
    this.reassembly.clear();
    this.neighbours.clear();
    this.timers.clear();
    this.listeners.clear();
  }

  /** null, or why `link` cannot be attached. */
  private refusalOf(link: Link): string | null {
    if (this.closing !== null) return CLOSED;
    for (const { link: other } of this.hub.allPorts()) {
      if (other === link) return `link ${link.name}: is attached already`;
      if (other.name === link.name) return `link ${link.name}: another link is called that`;
    }
    const needed = this.settings.mtu + 14;
    if (link.maxFrame >= needed) return null;
    return `link ${link.name}: takes frames of ${link.maxFrame} bytes, mtu ${this.settings.mtu} needs ${needed}`;
  }

  private unplug(port: Port, reason: string): Promise<void> {
    this.turn.run(() => this.hub.unplug(port, reason));
    const closed = port.link.close();
    this.history.linkClosed(port);
    return closed;
  }

  private portLost(port: FramePort, why: Loss, length: number): void {
    this.drops.lose(why);
    const { name, maxFrame, tooLong } = port;
    if (why !== Loss.PortFrameTooLong || tooLong > 1) return;
    const message = `${name}: a frame of ${length} bytes is lost, its port takes ${maxFrame}: raise mtu or maxFrame`;
    this.listeners.emit('error', { message });
  }

  private portDown(port: Port, reason: string): void {
    this.nat.flows.portDown(port);
    this.reassembly.forgetPort(port.id);
    this.neighbours.forgetPort(port.id);
    this.icmp.forgetPort(port.id);
    for (const service of this.services) service.forgetPort(port.id);
    this.history.add(port);
    this.listeners.emit('guest-down', { link: port.link.name, reason });
  }

  private tcpEnv(): TcpEnv {
    const { settings } = this;
    return {
      arena: this.arena,
      timers: this.timers,
      drops: this.drops,
      counters: this.counters,
      flowBytes: settings.limits.flowBytes,
      mtu: settings.mtu,
      timeWait: settings.timeouts.timeWait,
      pacing: settings.pacing,
      newCongestion: () => newCongestion(settings.congestion),
    };
  }

  private dhcpServer(dhcp: NonNullable<Settings['dhcp']>): DhcpServer {
    return new DhcpServer(this.settings, dhcp, (mac, address) =>
      this.listeners.emit('lease', { mac, address }),
    );
  }

  private gatewayPorts(udpPorts: UdpPorts): GatewayPorts {
    const { arena, clock, turn, timers, nat } = this;
    return {
      ...{ arena, clock, turn, timers },
      bindUdp: (address, port, onDatagram) => {
        if (!udpPorts.bind(address, port, onDatagram))
          throw new HostBindError(`udp port ${port} of the gateway is taken`);
        return {
          send: (payload, to) => udpPorts.send(address, port, payload, to),
          close: () => udpPorts.unbind(address, port),
        };
      },
      bindTcp: (address, port, accept) => {
        if (!nat.bindTcp(address, port, accept))
          throw new HostBindError(`tcp port ${port} of the gateway is taken`);
      },
    };
  }

  private flowOpened(flow: Flow): void {
    if (!this.listeners.has('flow-open')) return;
    const [guest, remote] = [formatEndpoint(flow.guest), formatEndpoint(flow.remote)];
    this.listeners.emit('flow-open', { id: flow.id, kind: flow.kind, guest, remote });
  }

  private flowEnded(flow: Flow, reason: FlowEnd): void {
    if (!this.listeners.has('flow-end')) return;
    const { id, kind, bytesToHost, bytesToGuest } = flow;
    this.listeners.emit('flow-end', { id, kind, reason, bytesToHost, bytesToGuest });
  }
}

const CLOSED = 'the network is closed';
