import type { NetworkConfig } from '../network/config.ts';
import { createNetwork, type Network } from '../network/network.ts';
import type { NetworkOptions } from '../network/parts.ts';
import { NodeClock } from './clock.ts';
import { NodeHost } from './host-sockets.ts';
import { NodeRandom } from './random.ts';

/** A network on Node's clock, randomness and sockets. Throws a ConfigError; start() and attach() links to it. */
export function createNodeNetwork(config: NetworkConfig = {}, options: NetworkOptions = {}): Network {
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
