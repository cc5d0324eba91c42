// How much the card of a machine in v86 takes just now. The card says so to nobody: a frame that finds no room in it is gone,
// and on virtio a line is printed. But its registers are fields of the emulator, and there it stands:
//
// - ne2k keeps frames in a ring of 52 pages of 256 bytes (with Linux's driver), each frame behind 4 bytes of its own: eight
//   full frames. It takes one that fills the ring to the last page, and then holds the ring for empty and the next frame
//   overwrites the first; so a page stays free here.
// - virtio has the buffers that the driver has put in its queue: up to 1024, 512 at least while Linux keeps up.
// - ne2k interrupts the guest with each frame. Where the guest does not take interrupts just then and turns the card's off
//   before it does again, as Linux's driver does to send, v86's interrupt controller is left with one that nobody ends,
//   and there are no more: the card is as good as full until the guest takes interrupts, or has one of the card's to serve.
//
// These fields are no interface that v86 promises: they are as v86 0.5.462 has them. Where they are not, frames go in bursts
// that the smaller card holds, and the next burst when the guest has run in between: the counter of its instructions is
// promised.

/** What is used of an instance of v86's `V86`. Those that a release may lack are optional. */
export interface V86Emulator {
  /** Frames from the guest, lent for the call. */
  add_listener(event: 'net0-send', listener: (frame: Uint8Array) => void): void;
  /** Once there is a machine, and each time that it begins to run. */
  add_listener(event: 'emulator-ready' | 'emulator-started', listener: () => void): void;
  /** Takes back a listener for frames. */
  remove_listener(event: 'net0-send', listener: (frame: Uint8Array) => void): void;
  /** Takes back one for its stages. */
  remove_listener(event: 'emulator-ready' | 'emulator-started', listener: () => void): void;
  /** Instructions so far, modulo 2^32; 0 before there is a machine. */
  get_instruction_counter(): number;
  /** Replaced while there is a cable: the network ends the flows of the guest that was before. */
  restore_state?(state: ArrayBuffer): Promise<void>;
  /** Replaced likewise: the cable is closed with the machine. */
  destroy?(): Promise<void>;
  readonly bus?: {
    /** 'net0-receive': a frame for the guest, whose card copies it. */
    send(event: string, frame: Uint8Array): void;
  };
  /** v86's own network, where `net_device.relay_url` asks for one. */
  readonly network_adapter?: unknown;
  /** Once its WebAssembly is compiled. */
  readonly v86?: { readonly cpu?: { readonly devices?: Devices; readonly flags?: Int32Array } };
}

interface Devices {
  /** Comes before all others: where it is missing there is no machine yet. */
  readonly pci?: unknown;
  readonly net?: unknown;
  readonly virtio_net?: unknown;
}

interface Ne2k {
  /** Command register: bit 0 is STOP. */
  readonly cr: number;
  /** The page behind the last frame, and the one before the first that the guest has not read. */
  readonly curpg: number;
  readonly boundary: number;
  /** The ring is [pstart, pstop). */
  readonly pstart: number;
  readonly pstop: number;
  /** Interrupts that are due, and which of them are asked for. */
  readonly isr: number;
  readonly imr: number;
}

interface VirtQueue {
  readonly enabled: boolean;
  readonly avail_addr: number;
  readonly used_addr: number;
  count_requests(): number;
}

/** 'down': the guest has not set the card up. 'never': this card takes no frame as long as that. */
export type Room = 'room' | 'full' | 'down' | 'never';

/** Frame with header, without FCS, of Ethernet at an MTU of 1500: Linux's ne2k driver takes no longer one. */
const NE2K_MAX_FRAME = 1514;
/** What virtio takes at its largest MTU, 65535. */
const VIRTIO_MAX_FRAME = 65549;
const PAGE_SHIFT = 8;
const MIN_FRAME = 60;
const HEADER = 4;
/** Of EFLAGS: interrupts are taken. */
const INTERRUPT_FLAG = 1 << 9;
/** Pages of a burst to a card that is not seen: one less than Linux's ring has. */
const BLIND_PAGES = 51;

export class V86Card {
  private readonly emulator: V86Emulator;
  /** The devices that were looked at, and what of them is our card. */
  private seen: Devices | undefined;
  private ne2k: Ne2k | null = null;
  private queue: VirtQueue | null = null;
  /** Of a card that is not seen: what it was given since the guest ran last, and when that was. */
  private blindPages = 0;
  private ranAt = -1;

  constructor(emulator: V86Emulator) {
    this.emulator = emulator;
  }

  /** Longest frame in bytes that it takes: virtio's as long as it is not known. */
  get maxFrame(): number {
    this.look();
    return this.ne2k === null ? VIRTIO_MAX_FRAME : NE2K_MAX_FRAME;
  }

  /** Is there a machine, and no card in it? */
  get isMissing(): boolean {
    this.look();
    return this.seen !== undefined && this.seen.net === undefined && this.seen.virtio_net === undefined;
  }

  /** What becomes of a frame of `len` bytes that is given to the card now. */
  room(len: number): Room {
    this.look();
    if (this.ne2k !== null) {
      const room = ne2kRoom(this.ne2k, len);
      return room === 'room' && !this.mayInterrupt(this.ne2k) ? 'full' : room;
    }
    if (len > VIRTIO_MAX_FRAME) return 'never';
    if (this.queue !== null) return virtioRoom(this.queue);
    return this.isMissing ? 'down' : this.blindRoom(len);
  }

  /** An interrupt that is due already is the same one. */
  private mayInterrupt(card: Ne2k): boolean {
    const flags = this.emulator.v86?.cpu?.flags?.[0];
    return flags === undefined || (flags & INTERRUPT_FLAG) !== 0 || (card.isr & card.imr) !== 0;
  }

  private look(): void {
    const devices = this.emulator.v86?.cpu?.devices;
    if (devices === this.seen || devices?.pci === undefined) return;
    this.seen = devices;
    this.ne2k = isNe2k(devices.net) ? devices.net : null;
    this.queue = receiveQueue(devices.virtio_net);
  }

  private blindRoom(len: number): Room {
    const ran = this.emulator.get_instruction_counter();
    if (ran !== this.ranAt) {
      this.ranAt = ran;
      this.blindPages = 0;
    }
    const pages = pagesOf(len);
    // A frame that is longer than a burst is one.
    if (this.blindPages > 0 && this.blindPages + pages > BLIND_PAGES) return 'full';
    this.blindPages += pages;
    return 'room';
  }
}

function ne2kRoom(card: Ne2k, len: number): Room {
  if (len > NE2K_MAX_FRAME) return 'never';
  if ((card.cr & 1) !== 0) return 'down';
  const { curpg, boundary, pstart, pstop } = card;
  const free = boundary > curpg ? boundary - curpg : pstop - curpg + boundary - pstart;
  return free > pagesOf(len) ? 'room' : 'full';
}

/** A queue that is not set up is not to be asked: v86 would read its indices, and write the frame, at address 0. */
function virtioRoom(queue: VirtQueue): Room {
  if (!queue.enabled || queue.avail_addr === 0 || queue.used_addr === 0) return 'down';
  return queue.count_requests() > 0 ? 'room' : 'full';
}

function pagesOf(len: number): number {
  return 1 + ((Math.max(MIN_FRAME, len) + HEADER) >> PAGE_SHIFT);
}

function isNe2k(card: unknown): card is Ne2k {
  return ['cr', 'curpg', 'boundary', 'pstart', 'pstop', 'isr', 'imr'].every((name) =>
    has(card, name, 'number'),
  );
}

function receiveQueue(card: unknown): VirtQueue | null {
  const queue = (card as { virtio?: { queues?: readonly unknown[] } } | undefined)?.virtio?.queues?.[0];
  const isQueue =
    has(queue, 'enabled', 'boolean') &&
    has(queue, 'avail_addr', 'number') &&
    has(queue, 'used_addr', 'number') &&
    has(queue, 'count_requests', 'function');
  return isQueue ? (queue as VirtQueue) : null;
}

function has(of: unknown, name: string, type: string): boolean {
  return typeof (of as Record<string, unknown> | null | undefined)?.[name] === type;
}
