// How each row is measured: once for an engine and a round.

import type { Engine } from './engines.ts';
import { inNamespace, Started, sleep } from './machine.ts';
import type { RawGuest } from './raw/guest.ts';
import type { Guest, Stage } from './stage.ts';
import { cpuSeconds, residentKib } from './usage.ts';

const IDLE_FLOWS = 4000;
/** What load.c leaves out at the start of bulk. */
const OMITTED_SECONDS = 0.5;
/** For closed connections to leave, and memory to be given back. */
const SETTLE_MS = 1000;

/** Values by the name of their figure. */
export type Values = Readonly<Record<string, number>>;

export type Measure =
  /** On a guest whose engine runs through all rounds, warm from the same load. */
  | {
      readonly on: 'guest';
      run(guest: Guest, stage: Stage, seconds: number): Promise<Values>;
      /** The load alone, where run() does more than that. */
      warm?(guest: Guest, stage: Stage, seconds: number): Promise<Values>;
    }
  /** On an engine that it starts itself. */
  | { readonly on: 'engine'; run(engine: Engine, stage: Stage, seconds: number): Promise<Values> }
  | RawMeasure;

/** On an engine in this process. */
export interface RawMeasure {
  readonly on: 'raw';
  run(guest: RawGuest, seconds: number): Promise<Values>;
}

export function rawFrames(direction: 'up' | 'down'): RawMeasure {
  return {
    on: 'raw',
    run: async (guest, seconds) => ({
      gbits: await (direction === 'up' ? guest.upload(seconds) : guest.download(seconds)),
    }),
  };
}

export function bulk(direction: 'up' | 'down', streams: number): Measure {
  return {
    on: 'guest',
    async run(guest, stage, seconds) {
      const before = cpuSeconds(guest.pid);
      const { perSecond, total } = await guest.load(
        `tcp-${direction}`,
        [stage.stats, streams, seconds],
        seconds + OMITTED_SECONDS,
      );
      const cpu = cpuSeconds(guest.pid) - before;
      return { gbits: (perSecond * 8) / 1e9, cpuPerGb: cpu / (total / 1e9) };
    },
  };
}

/** iperf3 in a machine under QEMU, which the first piece of the warm-up boots. */
export function realGuest(direction: 'up' | 'down'): Measure {
  return {
    on: 'guest',
    async run(guest, _stage, seconds) {
      const machine = await guest.machine();
      return { mbits: (await machine.iperf3(direction, seconds)) / 1e6 };
    },
  };
}

export function requestResponse(mode: 'rr' | 'crr' | 'udp-rr'): Measure {
  return {
    on: 'guest',
    run: async (guest, _stage, seconds) => ({ rate: (await guest.load(mode, [seconds], seconds)).perSecond }),
  };
}

export function connections(threads: number): Measure {
  return {
    on: 'guest',
    run: async (guest, _stage, seconds) => ({
      rate: (await guest.load('connect', [threads, seconds], seconds)).perSecond,
    }),
  };
}

export function datagrams(direction: 'up' | 'down', size: number): Measure {
  return {
    on: 'guest',
    async run(guest, stage, seconds) {
      const { perSecond } = await guest.load(
        `udp-${direction}`,
        [stage.stats, size, seconds],
        seconds + OMITTED_SECONDS,
      );
      return { rate: perSecond / 1000 };
    },
  };
}

/** Blocks without the idle flows, with them, and without, on the same warm engine: drift takes no side. */
export const idleFlows: Measure = {
  on: 'guest',
  async run(guest, _stage, seconds) {
    const before = await echoAndConnect(guest, seconds / 2);
    const held = await guest.hold(IDLE_FLOWS);
    const beside = await echoAndConnect(guest, seconds / 2);
    await held.stop();
    await sleep(SETTLE_MS);
    const after = await echoAndConnect(guest, seconds / 2);
    return {
      echo: (before.echo + after.echo) / 2 / beside.echo,
      connect: (before.connect + after.connect) / 2 / beside.connect,
    };
  },
  warm: (guest, _stage, seconds) => echoAndConnect(guest, seconds),
};

/** Rates; `seconds` each. */
async function echoAndConnect(guest: Guest, seconds: number): Promise<{ echo: number; connect: number }> {
  return {
    echo: (await guest.load('rr', [seconds], seconds)).perSecond,
    connect: (await guest.load('crr', [seconds], seconds)).perSecond,
  };
}

/** A load program that asks from before the engine begins, every 2 ms, until it is offered an address. */
export const firstOffer: Measure = {
  on: 'engine',
  async run(engine, stage) {
    const { ns, socket, command } = stage.prepare(engine, 1500);
    const running: Started[] = [];
    try {
      const asks =
        engine.guestBy === 'socket'
          ? [stage.loadProgram, 'offer-unix', socket]
          : inNamespace(ns, [stage.loadProgram, 'offer-tap', 'tap0']);
      const asker = new Started(asks);
      running.push(asker);
      await sleep(100); // its own start is not the engine's
      const began = process.hrtime.bigint();
      running.push(new Started(command));
      const offered = BigInt((await asker.result(15_000)).trim());
      return { ms: Number(offered - began) / 1e6 };
    } finally {
      await stage.clear(ns, socket, running);
    }
  },
};

/** Idle as it was started with a guest; for each flow, what is added to an engine that has worked. */
export const memory: Measure = {
  on: 'engine',
  async run(engine, stage, seconds) {
    const guest = await stage.guest(engine, { mtu: 1500, cpu: null });
    try {
      await sleep(SETTLE_MS);
      const idle = residentKib(guest.pid);
      await guest.load('crr', [seconds], seconds);
      await sleep(SETTLE_MS);
      const before = residentKib(guest.pid);
      const held = await guest.hold(IDLE_FLOWS);
      await sleep(SETTLE_MS);
      const after = residentKib(guest.pid);
      await held.stop();
      return { idleMib: idle / 1024, kibPerFlow: (after - before) / IDLE_FLOWS };
    } finally {
      await guest.stop();
    }
  },
};
