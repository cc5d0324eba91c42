import type { NetworkConfig } from '../network/config.ts';
import type { NetworkEvents } from '../network/events.ts';
import { createNetwork, type Network } from '../network/network.ts';
import { NodeClock } from './clock.ts';
import { NodeHost } from './host-sockets.ts';
import { NodeRandom } from './random.ts';

/** A network on Node's clock, randomness and sockets. Throws a ConfigError; start() and attach() links to it. */
export function createNodeNetwork(config: NetworkConfig, events?: NetworkEvents): Network {
  const random = new NodeRandom();
  const host = new NodeHost({ random });
  const parts = {
    clock: new NodeClock(),
    random,
    host,
    makeView: (buffer: ArrayBuffer) => Buffer.from(buffer),
  };
  return createNetwork(config, parts, events);
}
