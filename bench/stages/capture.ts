// A full-size segment from a guest whose link is not watched, watched, and recorded in several ways. tinybench never returns
// to the event loop, so chunks are written to the file synchronously here; the part `path` has it as in a program.

import { captureLink, type FrameRecorder } from '../../src/link/capture.ts';
import type { Link } from '../../src/link/link.ts';
import type { PcapFileOptions } from '../../src/node/pcap-file.ts';
import { benchEngine, expectNothingDropped, type Kernel } from '../engine.ts';
import { BenchGuest } from '../guest.ts';
import { Recordings } from '../recordings.ts';
import type { Case, Stage } from '../stage.ts';
import { tcpUp } from '../traffic.ts';

const PAYLOAD = 1460;
const PORT = 40000;
const FORGETFUL: FrameRecorder = { record: () => {} };

export async function capture(kernel: Kernel): Promise<Stage> {
  const engine = benchEngine(1500, kernel);
  const recordings = new Recordings();
  const cases: Case[] = [];
  const add = async (name: string, wrap: (link: Link) => Link): Promise<void> => {
    const guest = new BenchGuest(engine, cases.length, wrap);
    const { frames, call } = await tcpUp(guest, PORT, PAYLOAD);
    cases.push({ name, ops: frames, bytes: PAYLOAD, call });
  };
  const addFile = (name: string, options: PcapFileOptions): Promise<void> =>
    add(name, (link) => captureLink(link, recordings.open(options)));
  await add('not watched', (link) => link);
  await add('watched, nothing kept', (link) => captureLink(link, FORGETFUL));
  await addFile('a filter that wants none', { filter: 'udp port 9' });
  await addFile('pcap, 64 B of each', { format: 'pcap', snapLen: 64 });
  await addFile('pcap, whole', { format: 'pcap' });
  await addFile('pcapng, whole', { format: 'pcapng' });
  return {
    cases,
    verify: async () => {
      expectNothingDropped(engine);
      await recordings.close();
    },
  };
}
