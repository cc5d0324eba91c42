import type { NetworkConfig } from '../network/config.ts';
import { createNetwork, type Network } from '../network/network.ts';
import type { NetworkParts } from '../network/parts.ts';
import { NodeClock } from './clock.ts';
import { NodeHost } from './host-sockets.ts';
import { NodeRandom } from './random.ts';

/** What is said here instead of Node's. */
export type NodeNetworkOptions = Partial<Pick<NetworkParts, 'clock' | 'random' | 'host' | 'kernel' | 'on'>>;

/** A network on Node's clock, randomness and sockets. Throws a ConfigError; start() and attach() links to it. */
export function createNodeNetwork(config: NetworkConfig = {}, options: NodeNetworkOptions = {}): Network {
  const random = options.random ?? new NodeRandom();
  return createNetwork(config, {
    clock: options.clock ?? new NodeClock(),
    random,
    host: options.host ?? new NodeHost({ random }),
    makeView: (buffer: ArrayBuffer) => Buffer.from(buffer),
    kernel: options.kernel,
    on: options.on,
  });
}
