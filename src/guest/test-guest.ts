// The embedded guest as a test uses it: with promises and names. What comes of each is one of the machine's callbacks
// (guest.ts); time passes only as the network's clock does.

import { type Endpoint, formatIpv4Word, ipv4Addr, parseIpv4Word } from '../base/addr.ts';
import { Timer, type Timers } from '../base/timers.ts';
import * as dns from '../wire/dns.ts';
import type { EmbeddedGuest, Lease } from './guest.ts';
import { GuestStream } from './guest-stream.ts';
import { buildQuery, type Resolved, readAnswer } from './resolve.ts';
import { TestListener } from './test-listener.ts';
import type { TestSocket } from './test-socket.ts';
import { TestUdpSocket } from './test-udp.ts';
import { ConnectionError, type TestContext } from './test-waits.ts';

/** How long a name service has, and how often it is asked: as resolv.conf(5) has it. */
const RESOLVE_MS = 5000;
const RESOLVE_ATTEMPTS = 2;

/** The embedded guest with promises, for tests. */
export class TestGuest {
  /** As its link is called. */
  readonly name: string;
  /** What is underneath: frames, counters, callbacks. */
  readonly machine: EmbeddedGuest;
  private readonly context: TestContext;
  private readonly timers: Timers;
  private readonly random: () => number;
  private readonly streams = new Set<GuestStream>();
  private readonly ports = new Set<{ close(): void }>();

  /** `random`: any word, for the ids of queries. */
  constructor(
    name: string,
    machine: EmbeddedGuest,
    context: TestContext,
    timers: Timers,
    random: () => number,
  ) {
    this.name = name;
    this.machine = machine;
    this.context = context;
    this.timers = timers;
    this.random = random;
  }

  /** Gets a lease and uses it. Rejects when nobody answers within a minute. */
  boot(): Promise<Lease> {
    return this.context.waits.wait(`${this.name} boots`, (resolve, reject) => {
      this.machine.boot().then(resolve, reject);
    });
  }

  /** Its address, `10.0.2.15`; '' without one. */
  get address(): string {
    const { config } = this.machine;
    return config === null ? '' : formatIpv4Word(config.address);
  }

  /** The addresses of `name`, by the name service of the lease. Rejects where there are none, with the reason. */
  async resolve(name: string): Promise<string[]> {
    return (await this.lookUp(name)).map(formatIpv4Word);
  }

  /**
   * Connects to `host`, an IPv4 address or a name, which is looked up first. Rejects with a ConnectionError that has the
   * reason. `ownPort`: default one that is free.
   */
  async connectTcp(host: string, port: number, ownPort = 0): Promise<TestSocket> {
    const to = await this.endpoint(host, port);
    const what = `${this.name} connects to ${host}:${port}`;
    return this.context.waits.wait(what, (resolve, reject) => {
      let stream: GuestStream | null = null;
      const socket = this.machine.connectTcp(
        to,
        {
          onOpen: () => stream?.onOpen(),
          onReadable: () => stream?.onReadable(),
          onWritable: () => stream?.onWritable(),
          onEnd: () => stream?.onEnd(),
          onClose: (of, reason) => stream?.onClose(of, reason),
        },
        ownPort,
      );
      const made = new GuestStream(this.context, socket);
      stream = made;
      this.keep(made);
      made.onReady = () => resolve(made.test);
      const forget = made.onOver;
      made.onOver = (reason) => {
        forget(reason);
        reject(new ConnectionError(what, reason));
      };
    });
  }

  /**
   * Takes connections to `port`: `onConnection` gets each, and where it throws or rejects the connection is reset and the
   * test fails. Without it accept() hands them out. Throws where the port is taken.
   */
  listenTcp(port: number, onConnection?: (socket: TestSocket) => unknown): TestListener {
    const listener = new TestListener(this.context, `${this.name} port ${port}`, onConnection ?? null);
    const stop = this.machine.listenTcp(port, (socket) => {
      if (listener.isFull) return null;
      const stream = new GuestStream(this.context, socket);
      this.keep(stream);
      stream.onReady = () => listener.onConnection(stream.test);
      return stream;
    });
    this.ports.add(listener);
    listener.onClosed = () => {
      stop();
      this.ports.delete(listener);
    };
    return listener;
  }

  /** A UDP port; without `port` one that is free. Throws where it is taken. */
  udp(port = 0): TestUdpSocket {
    const socket = new TestUdpSocket(
      this.context,
      (events) => this.machine.openUdp(events, port),
      (host, to) => this.endpoint(host, to),
    );
    this.ports.add(socket);
    return socket;
  }

  /** Pulls the cable: connections are over with the reason 'down', who waits for something is told. Idempotent. */
  close(): void {
    for (const port of [...this.ports]) port.close();
    this.machine.close();
    for (const stream of [...this.streams]) stream.drop();
  }

  private keep(stream: GuestStream): void {
    this.streams.add(stream);
    stream.onOver = () => void this.streams.delete(stream);
  }

  private async endpoint(host: string, port: number): Promise<Endpoint> {
    if (!Number.isInteger(port) || port < 1 || port > 65535)
      throw new Error(`port: ${port} is not 1 to 65535`);
    const word = parseIpv4Word(host) ?? (await this.lookUp(host))[0]!;
    return { addr: ipv4Addr(word), port };
  }

  /** At least one IPv4 word. */
  private async lookUp(name: string): Promise<readonly number[]> {
    const server = this.machine.lease?.parameters.dns[0];
    if (server === undefined) throw new Error(`${name}: ${this.name} has no name service`);
    const query = buildQuery(name, this.random() >>> 16);
    if (query === null) throw new Error(`${JSON.stringify(name)} is neither an IPv4 address nor a name`);
    const where = formatIpv4Word(server);
    let answer = await this.askUdp(name, where, query);
    if (answer?.truncated === true) answer = await this.askTcp(where, query);
    if (answer === null) throw new Error(`${name}: the name service ${where} does not answer`);
    if (answer.failure !== '') throw new Error(`${name}: ${answer.failure}`);
    if (answer.addresses.length === 0) throw new Error(`${name}: no address`);
    return answer.addresses;
  }

  private async askUdp(name: string, server: string, query: Uint8Array): Promise<Resolved | null> {
    const to = { addr: ipv4Addr(parseIpv4Word(server) ?? 0), port: dns.PORT };
    return this.context.waits.wait<Resolved | null>(`${this.name} looks up ${name}`, (resolve) => {
      let attempts = 0;
      const done = (answer: Resolved | null): void => {
        this.timers.disarm(timer);
        this.ports.delete(port);
        socket.close();
        resolve(answer);
      };
      const port = { close: () => done(null) };
      const ask = (now: number): void => {
        if (attempts++ === RESOLVE_ATTEMPTS) {
          done(null);
          return;
        }
        this.timers.arm(timer, now + RESOLVE_MS);
        socket.send(to, query);
      };
      const timer = new Timer(ask);
      const socket = this.machine.openUdp({
        onDatagram: (data) => {
          const answer = readAnswer(Uint8Array.from(data), query);
          if (answer !== null) done(answer);
        },
        onUnreachable: () => done(null),
      });
      this.ports.add(port);
      ask(this.timers.clock.now());
    });
  }

  /** RFC 7766. */
  private async askTcp(server: string, query: Uint8Array): Promise<Resolved | null> {
    const socket = await this.connectTcp(server, dns.PORT);
    await socket.write(Uint8Array.of(query.length >>> 8, query.length & 255));
    await socket.write(query);
    const [high = 0, low = 0] = await socket.read(2);
    const answer = await socket.read((high << 8) | low);
    socket.reset();
    return readAnswer(answer, query);
  }
}
