// Every capture of the collection.

import { dhcpScenes } from './dhcp.ts';
import { loaderScenes } from './loaders.ts';
import { machineScenes } from './machines.ts';
import type { Scene } from './scene.ts';
import { tcpScenes } from './tcp.ts';
import { udpScenes } from './udp.ts';
import { v86Scenes } from './v86.ts';

export const scenes: readonly Scene[] = [
  ...dhcpScenes,
  ...tcpScenes,
  ...udpScenes,
  ...loaderScenes,
  ...machineScenes,
  ...v86Scenes,
];

/** The name of a scene's file. */
export function fileOf({ name, format }: Scene): string {
  return `${name}.${format === 'pcapng' ? 'pcapng' : 'pcap'}`;
}
