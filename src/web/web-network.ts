import { NoHost } from '../host/no-host.ts';
import type { NetworkConfig } from '../network/config.ts';
import { createNetwork as createCore, type Network } from '../network/network.ts';
import type { NetworkOptions } from '../network/parts.ts';
import { WebClock } from './clock.ts';
import { WebRandom } from './random.ts';

/**
 * A network that runs in a browser as it does in Node. Without a `host` there is nothing outside of it: a relay client
 * makes the world reachable. Throws a ConfigError that names the setting.
 */
export function createNetwork(config: NetworkConfig = {}, options: NetworkOptions = {}): Network {
  return createCore(config, {
    clock: options.clock ?? new WebClock(),
    random: options.random ?? new WebRandom(),
    host: options.host ?? new NoHost(),
    makeView: (buffer: ArrayBuffer) => new Uint8Array(buffer),
    kernel: options.kernel,
    on: options.on,
  });
}
