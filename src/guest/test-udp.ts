import { type Endpoint, formatIp } from '../base/addr.ts';
import { utf8Bytes } from '../base/utf8.ts';
import { ConnectionError, type TestContext } from './test-waits.ts';
import type { GuestUdpSocket } from './udp-socket.ts';

/** Datagrams that wait to be received: the next one is lost, as in an operating system. */
const MAX_WAITING = 1024;

/** A datagram that came, and from whom. */
export interface TestDatagram {
  /** The caller's own. */
  readonly data: Uint8Array;
  readonly address: string;
  readonly port: number;
}

/** How a UDP port sends: to a name or an address. */
export type SendTo = (host: string, port: number) => Promise<Endpoint>;

/** A UDP port of the embedded guest as a test uses it: with promises. */
export class TestUdpSocket {
  readonly port: number;
  /** Datagrams that were not kept because nobody received them. */
  lost = 0;
  private readonly socket: GuestUdpSocket;
  private readonly context: TestContext;
  private readonly find: SendTo;
  /** What has come and was not received: datagrams, and errors in their place among them. */
  private readonly arrived: (TestDatagram | Error)[] = [];
  private waiting: { resolve(datagram: TestDatagram): void; reject(error: Error): void } | null = null;
  private over = false;

  constructor(
    context: TestContext,
    open: (events: {
      onDatagram(data: Uint8Array, from: Endpoint): void;
      onUnreachable(code: number, to: Endpoint): void;
    }) => GuestUdpSocket,
    find: SendTo,
  ) {
    this.context = context;
    this.find = find;
    this.socket = open({
      onDatagram: (data, { addr, port }) =>
        this.arrive({ data: Uint8Array.from(data), address: formatIp(addr), port }),
      onUnreachable: (_code, { addr, port }) =>
        this.arrive(new ConnectionError(`udp ${formatIp(addr)}:${port}`, 'refused')),
    });
    this.port = this.socket.port;
  }

  /** Sends a copy of `data`, 0 to 65507 bytes, text as UTF-8. `host`: an IPv4 address or a name, which is looked up. */
  async send(host: string, port: number, data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === 'string' ? utf8Bytes(data) : Uint8Array.from(data);
    this.checkOpen();
    const to = await this.find(host, port);
    this.checkOpen();
    this.socket.send(to, bytes);
  }

  /**
   * The next datagram, the oldest first. Rejects with a ConnectionError where ICMP says that one which was sent could not
   * be delivered ('refused'), and when the port is closed. One receive at a time.
   */
  receive(): Promise<TestDatagram> {
    return this.context.waits.wait(`udp port ${this.port} receives`, (resolve, reject) => {
      this.checkOpen();
      if (this.waiting !== null) throw new Error(`udp port ${this.port}: one receive at a time`);
      this.waiting = { resolve, reject };
      this.hand();
    });
  }

  /** Who waits is told. Idempotent. */
  close(): void {
    if (this.over) return;
    this.over = true;
    this.socket.close();
    this.waiting?.reject(new Error(`udp port ${this.port} is closed`));
    this.waiting = null;
  }

  private checkOpen(): void {
    if (this.over) throw new Error(`udp port ${this.port} is closed`);
  }

  private arrive(what: TestDatagram | Error): void {
    if (this.arrived.length >= MAX_WAITING) {
      this.lost++;
      return;
    }
    this.arrived.push(what);
    this.hand();
  }

  private hand(): void {
    const { waiting } = this;
    const [first] = this.arrived;
    if (waiting === null || first === undefined) return;
    this.arrived.shift();
    this.waiting = null;
    if (first instanceof Error) waiting.reject(first);
    else waiting.resolve(first);
  }
}
