/// <reference lib="esnext.disposable" preserve="true" />
/** A machine in v86 on a network: `usernet/v86`. */

export type { V86Cable, V86LinkOptions, V86Losses, V86Network } from './link/v86.ts';
export { attachV86 } from './link/v86.ts';
export type { V86Emulator } from './link/v86-card.ts';
