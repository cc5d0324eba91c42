import { formatEndpoint, formatIpv4Word } from '../base/addr.ts';
import type { ForwardSettings, Settings } from '../base/settings.ts';
import type { Forward as BoundForward, Forwards } from '../nat/forwards.ts';
import type { NatInput } from '../nat/input.ts';
import { type ForwardConfig, parseForward } from './config-forwards.ts';

/** A forward that is bound. */
export interface Forward {
  readonly proto: 'tcp' | 'udp';
  /** "127.0.0.1:2222", with the real port where 0 was asked for. */
  readonly host: string;
  /** "10.0.2.15:22". */
  readonly guest: string;
}

/** The forwards of a running network. */
export class ForwardList {
  private readonly settings: Settings;
  private readonly forwards: Forwards;
  private readonly nat: NatInput;
  private opening: Promise<readonly Forward[]> | null = null;
  private readonly shown = new WeakMap<BoundForward, Forward>();

  constructor(settings: Settings, forwards: Forwards, nat: NatInput) {
    this.settings = settings;
    this.forwards = forwards;
    this.nat = nat;
  }

  /** Binds one more. Rejects with a ConfigError that names what is wrong with it, or with a HostBindError. */
  async add(forward: ForwardConfig): Promise<Forward> {
    return this.open(parseForward(forward, this.settings));
  }

  /**
   * Unbinds one: no new connections, no more datagrams. Connections that are open stay. False when it is not among
   * list(): it has been removed before, or its socket has ended.
   */
  remove(forward: Forward): boolean {
    const bound = this.forwards.list().find((one) => this.show(one) === forward);
    const removed = bound !== undefined && this.forwards.remove(bound);
    this.noteUdp();
    return removed;
  }

  /** Those that are bound now, TCP first. Each is the same object at every call. */
  list(): readonly Forward[] {
    return this.forwards.list().map((bound) => this.show(bound));
  }

  /** Those of the configuration, in its order, once. Rejects with the first error; then none of them is bound. */
  openAll(): Promise<readonly Forward[]> {
    this.opening ??= this.openEach();
    return this.opening;
  }

  private async openEach(): Promise<readonly Forward[]> {
    const opened: Forward[] = [];
    try {
      for (const forward of this.settings.forwards) opened.push(await this.open(forward));
      return opened;
    } catch (error) {
      for (const forward of opened) this.remove(forward);
      this.opening = null;
      throw error;
    }
  }

  private async open(settings: ForwardSettings): Promise<Forward> {
    const bound = await this.forwards.open(settings);
    this.noteUdp();
    return this.show(bound);
  }

  /** Where there is none, no datagram of a guest is held against them. */
  private noteUdp(): void {
    this.nat.udpForwards = this.forwards.hasUdp ? this.forwards : null;
  }

  /** One object for each, so that remove() knows it again. */
  private show(bound: BoundForward): Forward {
    const { proto, guestAddress, guestPort } = bound.settings;
    const guest = `${formatIpv4Word(guestAddress)}:${guestPort}`;
    const shown = this.shown.get(bound) ?? { proto, host: formatEndpoint(bound.at), guest };
    this.shown.set(bound, shown);
    return shown;
  }
}
