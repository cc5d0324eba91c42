// The composition root: builds everything, once, in order. The only file that knows all parts.

import { type Endpoint, formatEndpoint } from '../base/addr.ts';
import { Arena } from '../base/arena.ts';
import type { Clock } from '../base/clock.ts';
import { DropCounters } from '../base/drop.ts';
import { createMemory, type ViewMaker } from '../base/memory.ts';
import type { Random } from '../base/random.ts';
import type { Settings } from '../base/settings.ts';
import { Timers } from '../base/timers.ts';
import { Turn } from '../base/turn.ts';
import { HostBindError, type HostNetwork } from '../host/host-network.ts';
import { Addresses } from '../ip/addresses.ts';
import { IcmpErrors } from '../ip/icmp.ts';
import { GatewayCard } from '../ip/input.ts';
import { Ipv4Input } from '../ip/ipv4-input.ts';
import { Neighbours } from '../ip/neighbours.ts';
import { Ipv4Output } from '../ip/output.ts';
import { Reassembly } from '../ip/reassembly.ts';
import { UdpPorts } from '../ip/udp-ports.ts';
import type { Link } from '../link/link.ts';
import type { NatContext } from '../nat/context.ts';
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
import type { NetworkConfig } from './config.ts';
import { parseConfig } from './config.ts';
import type { NetworkEvents } from './events.ts';
import type { FlowStats, LinkStats, NetworkStats } from './stats.ts';

/** What a network needs from outside. */
export interface NetworkParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly host: HostNetwork;
  /** Node: `(buffer) => Buffer.from(buffer)`, so that sockets take views of the arena as they are. */
  readonly makeView: ViewMaker;
  /** 'js' keeps to JavaScript where WebAssembly is there. */
  readonly kernel?: 'wasm' | 'js';
}

/** Throws a ConfigError that names the setting. */
export function createNetwork(
  config: NetworkConfig,
  parts: NetworkParts,
  events: NetworkEvents = {},
): Network {
  return new Network(parseConfig(config), parts, events);
}

export class Network {
  readonly settings: Settings;
  readonly arena: Arena;
  readonly turn: Turn;
  readonly clock: Clock;
  readonly timers: Timers;
  private readonly drops = new DropCounters();
  private readonly counters = new TcpCounters();
  private readonly host: HostNetwork;
  private readonly events: NetworkEvents;
  private readonly hub: Switch;
  private readonly reassembly: Reassembly;
  private readonly neighbours: Neighbours;
  private readonly icmp: IcmpErrors;
  private readonly nat: NatInput;
  private readonly forwards: Forwards;
  private readonly services: Service[] = [];
  private readonly dhcp: DhcpServer | null;
  private readonly startedAt: number;
  private closing: Promise<void> | null = null;

  constructor(settings: Settings, parts: NetworkParts, events: NetworkEvents) {
    const { clock, random, host } = parts;
    this.settings = settings;
    this.clock = clock;
    this.host = host;
    this.events = events;
    this.startedAt = clock.now();
    this.arena = new Arena(createMemory(settings.limits.arenaBytes, parts.makeView, parts.kernel));
    this.turn = new Turn(clock);
    this.timers = new Timers(clock, this.turn);
    const { arena, turn, timers, drops } = this;
    host.start({ arena, turn, clock });

    const addresses = new Addresses(settings);
    const card: GatewayInputSlot = { input: null };
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
    const ports = this.hub;
    const output = new Ipv4Output(arena, settings.mtu, random);
    this.icmp = new IcmpErrors(arena, output, drops);
    this.reassembly = new Reassembly(arena, timers, drops);
    this.neighbours = new Neighbours(arena, timers, drops, addresses, ports, settings.limits.macs);
    const udpPorts = new UdpPorts(arena, addresses, ports, output, drops);
    const context: NatContext = {
      ...{ settings, arena, turn, timers, random, drops, ports, addresses, output, host },
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
    this.forwards = new Forwards(context, this.nat.flows, (message) =>
      this.tell(() => this.events.onError?.(message)),
    );
    const ipv4 = new Ipv4Input(
      { arena, addresses, ports, reassembly: this.reassembly, icmp: this.icmp },
      this.nat,
    );
    card.input = new GatewayCard(arena, addresses, ports, this.neighbours, ipv4);

    this.dhcp = settings.dhcp === null ? null : this.dhcpServer(settings.dhcp);
    if (this.dhcp !== null) this.services.push(this.dhcp);
    if (settings.dns !== null && !settings.restrict)
      this.services.push(new DnsRelay(random, host, settings, settings.dns, drops));
    const gatewayPorts = this.gatewayPorts(udpPorts);
    for (const service of this.services) service.start(gatewayPorts);
  }

  /** Binds the forwards. Rejects with one HostBindError that names the first that failed; the others are closed. */
  async start(): Promise<void> {
    try {
      for (const forward of this.settings.forwards) await this.forwards.open(forward);
    } catch (error) {
      this.forwards.close();
      throw error;
    }
    if (this.forwards.hasUdp) this.nat.udpForwards = this.forwards;
  }

  /** Where the TCP forwards are bound: the real ports where 0 was asked for. */
  forwardsBound(): readonly Endpoint[] {
    return this.forwards.bound();
  }

  /** Plugs a guest's cable in. Throws when the network is closed, or the arena has no room for the link's buffers. */
  attach(link: Link): void {
    if (this.closing !== null) throw new Error('the network is closed');
    const { maxFrame } = link;
    if (maxFrame < this.settings.mtu + 14) {
      throw new Error(
        `link ${link.name}: takes frames of ${maxFrame} bytes, mtu ${this.settings.mtu} needs ${this.settings.mtu + 14}`,
      );
    }
    const port = this.hub.plug(link);
    this.tell(() => this.events.onGuestUp?.(port.link.name));
  }

  stats(): NetworkStats {
    const now = this.clock.now();
    const { flows } = this.nat;
    const links = [...this.hub.allPorts()].map(linkStats);
    return {
      uptime: now - this.startedAt,
      flows: {
        tcp: flows.count('tcp'),
        udp: flows.count('udp'),
        tcpOpened: flows.tcpOpened,
        udpOpened: flows.udpOpened,
      },
      links: [...this.goneLinks, ...links],
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

  /**
   * Ends every flow (a reset to the guest, a reset to the host), closes services, links and the host. Resolves when
   * nothing of it is left. Idempotent.
   */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    this.turn.run(() => {
      this.forwards.close();
      this.nat.flows.close();
      for (const service of this.services) service.stop();
    });
    const links = [...this.hub.allPorts()].map((port) => {
      const closed = port.link.close();
      this.turn.run(() => this.hub.unplug(port, 'the network is closed'));
      return closed;
    });
    await Promise.all(links);
    await this.host.close();
    this.reassembly.clear();
    this.neighbours.clear();
    this.timers.clear();
  }

  /** Links that are gone, for the statistics: the last of them, the older ones added up by nobody. */
  private readonly goneLinks: LinkStats[] = [];

  private portDown(port: Port, reason: string): void {
    this.nat.flows.portDown(port);
    this.reassembly.forgetPort(port.id);
    this.neighbours.forgetPort(port.id);
    this.icmp.forgetPort(port.id);
    for (const service of this.services) service.forgetPort(port.id);
    this.goneLinks.push(linkStats(port));
    if (this.goneLinks.length > MAX_GONE_LINKS) this.goneLinks.shift();
    this.tell(() => this.events.onGuestDown?.(port.link.name, reason));
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
      this.tell(() => this.events.onLease?.(mac, address)),
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
    if (this.events.onFlowOpen === undefined) return;
    const { id, kind } = flow;
    const opened = { id, kind, guest: formatEndpoint(flow.guest), remote: formatEndpoint(flow.remote) };
    this.tell(() => this.events.onFlowOpen?.(opened));
  }

  private flowEnded(flow: Flow, reason: FlowEnd): void {
    if (this.events.onFlowEnd === undefined) return;
    const { id, kind, bytesToHost, bytesToGuest } = flow;
    this.tell(() => this.events.onFlowEnd?.({ id, kind, reason, bytesToHost, bytesToGuest }));
  }

  /** An event handler is the embedder's code: what it throws is reported, not our turn's end. */
  private tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.events.onError?.(
        `an event handler threw: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

/** Broken out of the constructor's circle: the switch is built before the card it leads to. */
interface GatewayInputSlot {
  input: GatewayCard | null;
}

const MAX_GONE_LINKS = 64;

function linkStats(port: Port): LinkStats {
  const { framesIn, bytesIn, framesOut, bytesOut, up } = port;
  const { name, faults, losses } = port.link;
  const stats = { name, up, framesIn, bytesIn, framesOut, bytesOut };
  return { ...stats, ...(faults && { faults }), ...(losses && { losses }) };
}
