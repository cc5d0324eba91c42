// The packet path in one process: parse, NAT and build, per frame, by size; no socket and no guest. tinybench measures,
// in batches of up to FRAMES as one turn brings them. Writing the guest's TCP segments, checksum and all, is part of what
// is measured; its datagrams are written once.   npm run bench -- [--time MS] [--json FILE] [--kernel js]

import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import * as arp from '../src/wire/arp.ts';
import * as ethernet from '../src/wire/ethernet.ts';
import { Flag } from '../src/wire/tcp.ts';
import { type BenchEngine, benchEngine } from './engine.ts';
import { BenchConnection, GATEWAY, GUEST, writeUdp } from './guest.ts';

/** Frames of one turn. */
const FRAMES = 64;
const MTUS = [576, 1500, 9000, 65520];
const HEADERS = 40;
/** Most payload bytes of a turn: what a window without scaling takes. */
const BURST = 65535;

const { values } = parseArgs({
  options: {
    time: { type: 'string', default: '500' },
    json: { type: 'string' },
    kernel: { type: 'string', default: 'wasm' },
  },
});
const kernel = values.kernel === 'js' ? 'js' : 'wasm';

interface Row {
  readonly name: string;
  /** Frames and payload bytes of one call. */
  readonly frames: number;
  readonly bytes: number;
}

const bench = new Bench({ time: Number(values.time), warmupTime: Number(values.time) / 4 });
const rows: Row[] = [];

const engines: BenchEngine[] = [];

function add(engine: BenchEngine, row: Row, call: () => void): void {
  engines.push(engine);
  rows.push(row);
  bench.add(row.name, call);
}

for (const mtu of MTUS) await addMtu(mtu);
addSmall();
await bench.run();
expectNothingDropped();
report();

async function addMtu(mtu: number): Promise<void> {
  const payload = mtu - HEADERS;
  const up = benchEngine(mtu, kernel);
  const upload = await BenchConnection.open(up, 40000, mtu);
  const perTurn = Math.min(FRAMES, Math.floor(BURST / payload));
  const sendAll = (): void => {
    for (let i = 0; i < perTurn; i++) {
      const len = upload.write(up.link.incoming, payload, Flag.Ack, 65535);
      up.link.sink.onFrame(up.link.incoming, len);
    }
  };
  add(up, { name: `TCP guest to host, ${payload} B`, frames: perTurn, bytes: perTurn * payload }, () =>
    up.network.turn.run(sendAll),
  );

  const down = benchEngine(mtu, kernel);
  const download = await BenchConnection.open(down, 40000, mtu);
  const read = perTurn * payload;
  const readOnce = (): void => {
    download.stream.reads(read);
    download.acknowledge();
  };
  // Slow start first; from then on each read goes out at once, in full segments.
  for (let i = 0; i < 100; i++) readOnce();
  const before = down.link.framesOut;
  readOnce();
  if (down.link.framesOut - before !== perTurn)
    throw new Error(`${down.link.framesOut - before} segments, not ${perTurn}, of ${payload} bytes`);
  add(down, { name: `TCP host to guest, ${payload} B`, frames: perTurn, bytes: read }, readOnce);

  const udpEngine = benchEngine(mtu, kernel);
  const len = writeUdp(udpEngine, udpEngine.link.incoming, 5000, 7, mtu - 28);
  add(
    udpEngine,
    { name: `UDP guest to host, ${mtu - 28} B`, frames: FRAMES, bytes: FRAMES * (mtu - 28) },
    frameRepeater(udpEngine, len),
  );
}

function addSmall(): void {
  const engine = benchEngine(1500, kernel);
  const len = writeUdp(engine, engine.link.incoming, 5000, 7, 18);
  add(
    engine,
    { name: 'UDP guest to host, 18 B', frames: FRAMES, bytes: FRAMES * 18 },
    frameRepeater(engine, len),
  );

  const asking = benchEngine(1500, kernel);
  const v = asking.network.arena.memory.view;
  const at = asking.link.incoming;
  ethernet.write(v, at, 0xffff, -1, 0x5254, 0x00123456, ethernet.EtherType.Arp);
  arp.write(v, at + ethernet.HEADER_LEN, arp.Op.Request, 0x5254, 0x00123456, GUEST, 0, 0, GATEWAY);
  add(asking, { name: 'ARP request to reply', frames: FRAMES, bytes: 0 }, frameRepeater(asking, 42));
}

/** One turn with FRAMES times the frame at `incoming`. */
function frameRepeater(engine: BenchEngine, len: number): () => void {
  const { link, network } = engine;
  const all = (): void => {
    for (let i = 0; i < FRAMES; i++) link.sink.onFrame(link.incoming, len);
  };
  return () => network.turn.run(all);
}

/** A frame that is dropped costs little: what was measured must have been used. */
function expectNothingDropped(): void {
  for (const { network } of engines) {
    const { drops, losses, tcp } = network.stats();
    const faults = { ...drops, ...losses };
    if (Object.keys(faults).length > 0 || tcp.retransmits > 0)
      throw new Error(`dropped ${JSON.stringify(faults)}, sent again ${tcp.retransmits}`);
  }
}

function report(): void {
  const results = rows.map((row) => {
    const result = bench.getTask(row.name)?.result;
    if (result === undefined || !('latency' in result)) throw new Error(`${row.name} did not run`);
    const ns = (result.latency.p50 * 1e6) / row.frames;
    return {
      name: row.name,
      nsPerFrame: ns,
      framesPerSecond: 1e9 / ns,
      gbits: (row.bytes * 8) / (ns * row.frames),
    };
  });
  const out = [
    `packet path, ${kernel} kernel, Node ${process.version}, ${cpus()[0]?.model ?? 'unknown'}; medians`,
    '',
    '| | ns per frame | million frames/s | Gbit/s |',
    '|---|---|---|---|',
    ...results.map(
      (r) =>
        `| ${r.name} | ${r.nsPerFrame.toFixed(0)} | ${(r.framesPerSecond / 1e6).toFixed(2)} | ${r.gbits.toFixed(1)} |`,
    ),
  ];
  process.stdout.write(`${out.join('\n')}\n`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ kernel, results }, null, 2)}\n`);
}
