// The traffic of the path, heap and collection benchmarks by name, each on a network of its own.

import { captureLink } from '../src/link/capture.ts';
import { benchEngine, expectNothingDropped, type Kernel } from './engine.ts';
import { BenchGuest, TCP_HEADERS, UDP_HEADERS } from './guest.ts';
import { Recordings } from './recordings.ts';
import { type Traffic, tcpDown, tcpUp, together, udpDown, udpUp } from './traffic.ts';

export interface Kind {
  readonly traffic: Traffic;
  /** Throws when what was measured was not used. */
  verify(): void | Promise<void>;
}

type MakeKind = (kernel: Kernel) => Promise<Kind>;

const PORT = 40000;
const MAX_TCP = 65520 - TCP_HEADERS;

/** `make`: what goes through a network whose MTU is that of `payload` and `headers`. */
function alone(
  payload: number,
  headers: number,
  make: (guest: BenchGuest) => Traffic | Promise<Traffic>,
): MakeKind {
  return async (kernel) => {
    const engine = benchEngine(Math.max(payload + headers, 1500), kernel);
    return { traffic: await make(new BenchGuest(engine)), verify: () => expectNothingDropped(engine) };
  };
}

const captured: MakeKind = async (kernel) => {
  const engine = benchEngine(1500, kernel);
  const recordings = new Recordings();
  const recorder = recordings.open({ format: 'pcapng' });
  const guest = new BenchGuest(engine, 0, (link) => captureLink(link, recorder));
  return {
    traffic: await tcpUp(guest, PORT, 1460),
    verify: async () => {
      expectNothingDropped(engine);
      await recordings.close();
    },
  };
};

export const KINDS: Readonly<Record<string, MakeKind>> = {
  'TCP guest to host, 1460 B': alone(1460, TCP_HEADERS, (guest) => tcpUp(guest, PORT, 1460)),
  'TCP host to guest, 1460 B': alone(1460, TCP_HEADERS, (guest) => tcpDown(guest, PORT, 1460)),
  'TCP both ways, 1460 B': alone(1460, TCP_HEADERS, async (guest) =>
    together(await tcpUp(guest, PORT, 1460), await tcpDown(guest, PORT + 1, 1460)),
  ),
  'TCP guest to host, 65480 B': alone(MAX_TCP, TCP_HEADERS, (guest) => tcpUp(guest, PORT, MAX_TCP)),
  'TCP host to guest, 65480 B': alone(MAX_TCP, TCP_HEADERS, (guest) => tcpDown(guest, PORT, MAX_TCP)),
  'UDP guest to host, 1472 B': alone(1472, UDP_HEADERS, (guest) => udpUp(guest, PORT, 1472)),
  'UDP host to guest, 1472 B': alone(1472, UDP_HEADERS, (guest) => udpDown(guest, PORT, 1472)),
  'UDP guest to host, 18 B': alone(18, UDP_HEADERS, (guest) => udpUp(guest, PORT, 18)),
  'TCP guest to host, 1460 B, pcapng': captured,
};

/** Turns between two rounds of the event loop, some milliseconds: its own garbage must not show in that of a frame. */
const TURNS_PER_ROUND = 512;

/** Makes `traffic` go until `isDone`, asked in each round of the event loop, says so; the data frames that went. */
export async function pump({ call, frames }: Traffic, isDone: (frames: number) => boolean): Promise<number> {
  let done = 0;
  do {
    for (let i = 0; i < TURNS_PER_ROUND; i++) call();
    done += frames * TURNS_PER_ROUND;
    await new Promise(setImmediate);
  } while (!isDone(done));
  return done;
}

export async function makeKind(name: string, kernel: Kernel): Promise<Kind> {
  const make = KINDS[name];
  if (make === undefined) throw new Error(`there is no traffic ${name}`);
  return make(kernel);
}
