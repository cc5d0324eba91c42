// What the machine in v86 that Debian's 686 kernel runs on is made of, for Node and for a page alike. Its files are made by
// build.ts, into FOLDER; machine.ts reads them, a page fetches them.

import type { V86Options } from 'v86';

/** v86's name for a network card. */
export type Card = 'ne2k' | 'virtio';
export const CARDS: readonly Card[] = ['ne2k', 'virtio'];

/** Where build.ts puts the image, in the checkout: beside what the other guest is made of, and no part of the repository. */
export const FOLDER = 'tools/guest/build/v86';

/** MTU of the virtio card: above 1500 Linux's driver gives it buffers of that size, sixteen pages to a frame. */
const CARD_MTU = 1500;
const MEMORY_LEN = 96 << 20;

/** Of a machine with that card, what is the same each time, as a state that goes on in it expects. It has to be started. */
export function machineSettings(card: Card): V86Options {
  return {
    memory_size: MEMORY_LEN,
    vga_memory_size: 1 << 20,
    uart1: true,
    disable_speaker: true,
    net_device: { type: card, mtu: CARD_MTU },
    // The ne2k card takes frames for the MAC that it has, the guest's driver sends with the one that it had.
    preserve_mac_from_state_image: true,
    autostart: false,
  };
}

/**
 * The kernel's command line. A clock of ticks: v86's TSC is the age of its process, and a guest that goes on in a younger one
 * would see it stand still until that is as old; a timer that is set once is lost where a state is restored after its time.
 */
export function commandLine(card: Card): string {
  const clock = 'notsc clocksource=jiffies nohz=off highres=off';
  return `console=ttyS0 quiet panic=-1 ${clock} mitigations=off nic=${card}`;
}
