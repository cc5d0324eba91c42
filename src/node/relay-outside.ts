// The world of a relay's server, by Node's sockets. An address is connected to as it is: nothing here looks up a name that
// somebody has judged the addresses of. Each socket has a descriptor of the process's budget.

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { Socket } from 'node:net';
import { type Endpoint, formatIp, type IpAddr, isIpv4, parseIp } from '../base/addr.ts';
import type { HostError } from '../host/host-network.ts';
import type { OutsideDatagrams, OutsideEvents, OutsideStream, RelayOutside } from '../relay/relay-outside.ts';
import { hasMetItself, wasReset } from './ask-kernel.ts';
import { type DescriptorBudget, processDescriptors } from './descriptors.ts';
import { toHostError } from './host-errors.ts';
import { resetSocket } from './reset-socket.ts';

/** Names that are looked up at the same time, for all clients: in the few threads that Node has for it and for files. */
const MAX_LOOKUPS = 256;
/** Bytes that the kernel may not have taken yet before a datagram is lost. */
const SEND_QUEUE_LIMIT = 262_144;

export class NodeOutside implements RelayOutside {
  private readonly budget: DescriptorBudget;
  private lookups = 0;

  constructor(budget: DescriptorBudget = processDescriptors) {
    this.budget = budget;
  }

  async resolve(name: string): Promise<readonly IpAddr[]> {
    if (this.lookups >= MAX_LOOKUPS) throw new Error('too many names at once');
    this.lookups++;
    const found = await lookup(name, { all: true }).finally(() => this.lookups--);
    return found.flatMap(({ address }) => parseIp(address.split('%', 1)[0]!) ?? []);
  }

  connectTcp(to: Endpoint, events: OutsideEvents): OutsideStream {
    return this.budget.take() ? new OutsideTcp(to, events, this.budget) : new Nothing(events);
  }

  connectUdp(to: Endpoint, events: OutsideEvents): OutsideDatagrams {
    return this.budget.take() ? new OutsideUdp(to, events, this.budget) : new Nothing(events);
  }
}

class OutsideTcp implements OutsideStream {
  private readonly socket = new Socket({ allowHalfOpen: true });

  constructor(to: Endpoint, events: OutsideEvents, budget: DescriptorBudget) {
    const { socket } = this;
    let error: HostError | null = null;
    socket.setNoDelay(true);
    const over = (why: HostError): void => {
      error ??= why;
      socket.destroy();
    };
    socket.on('connect', () => (hasMetItself(socket) ? over('refused') : events.onOpen()));
    socket.on('data', (bytes) => events.onData(bytes));
    socket.on('drain', () => events.onWritable());
    socket.on('end', () => (wasReset(socket) ? over('reset') : events.onEnd()));
    socket.on('error', (failure) => {
      error = toHostError(failure);
    });
    socket.on('close', () => {
      budget.give();
      events.onClose(error);
    });
    const family = isIpv4(to.addr) ? 4 : 6;
    socket.connect({ host: formatIp(to.addr), port: to.port, family, autoSelectFamily: false });
  }

  write(bytes: Uint8Array): boolean {
    return this.socket.write(bytes);
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    resetSocket(this.socket);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}

class OutsideUdp implements OutsideDatagrams {
  private readonly socket;
  private isClosed = false;

  constructor(to: Endpoint, events: OutsideEvents, budget: DescriptorBudget) {
    const socket = createSocket(isIpv4(to.addr) ? 'udp4' : 'udp6');
    this.socket = socket;
    socket.on('connect', () => events.onOpen());
    socket.on('message', (data) => events.onData(data));
    socket.on('error', (error) => {
      if (this.isClosed) return;
      this.close();
      events.onClose(toHostError(error));
    });
    socket.on('close', () => budget.give());
    socket.connect(to.port, formatIp(to.addr));
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.socket.getSendQueueSize() > SEND_QUEUE_LIMIT) return false;
    this.socket.send(bytes);
    return true;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.socket.close();
  }
}

/** Where there is no descriptor for a socket. */
class Nothing implements OutsideStream, OutsideDatagrams {
  private isClosed = false;

  constructor(events: OutsideEvents) {
    setImmediate(() => {
      if (!this.isClosed) events.onClose('exhausted');
    });
  }

  write(): boolean {
    return true;
  }

  end(): void {}

  reset(): void {
    this.isClosed = true;
  }

  close(): void {
    this.isClosed = true;
  }

  pause(): void {}

  resume(): void {}
}
