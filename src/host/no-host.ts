import type { Endpoint } from '../base/addr.ts';
import {
  HostBindError,
  type HostContext,
  type HostDatagramEvents,
  type HostDatagrams,
  type HostListener,
  type HostNetwork,
  type HostStream,
  type HostStreamEvents,
} from './host-network.ts';

/** There is nothing outside: guests reach each other, the gateway's services, and code of the embedder. */
export class NoHost implements HostNetwork {
  private context: HostContext | null = null;

  start(context: HostContext): void {
    this.context = context;
  }

  connectTcp(_to: Endpoint, events: HostStreamEvents): HostStream {
    this.later(() => events.onClose('net-unreachable'));
    const nothing = (): void => {};
    return { write: () => true, end: nothing, reset: nothing, resume: nothing, pause: nothing };
  }

  listenTcp(): Promise<HostListener> {
    return Promise.reject(new HostBindError(NOWHERE));
  }

  openUdp(events: HostDatagramEvents): HostDatagrams {
    let open = true;
    const refuse = (): boolean => {
      this.later(() => {
        if (open) events.onError('net-unreachable');
        open = false;
      });
      return true;
    };
    return {
      send: refuse,
      close: () => {
        open = false;
      },
    };
  }

  bindUdp(): Promise<HostDatagrams> {
    return Promise.reject(new HostBindError(NOWHERE));
  }

  resolvers(): readonly Endpoint[] {
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private later(what: () => void): void {
    const { clock, turn } = this.context!;
    clock.soon(() => turn.run(what));
  }
}

const NOWHERE = 'there is no host whose ports could be bound';
