// `usernet demo`: the main job with nothing installed. An embedded guest in this process boots onto a real network with
// real host sockets and does what a guest does; every step is checked. What it leaves is the capture of its cable.

import { type Endpoint, formatEndpoint, formatIpv4Word, ipv4Addr } from '../base/addr.ts';
import { EmbeddedGuest, type Lease } from '../guest/guest.ts';
import type { GuestClose } from '../guest/tcp-socket.ts';
import { createPair } from '../link/pair.ts';
import type { Network } from '../network/network.ts';
import { createNodeNetwork } from '../node/node-network.ts';
import type { PcapFile } from '../node/pcap-file.ts';
import { NodeRandom } from '../node/random.ts';
import { type Args, type Command, UsageError } from './args.ts';
import { watchLink } from './bugs.ts';
import { openCaptures } from './capture-file.ts';
import { DemoHost, Payload } from './demo-host.ts';
import { download, upload } from './demo-http.ts';
import { DemoScreen, rate, type Screen, time } from './demo-screen.ts';
import { say } from './output.ts';
import { statsText } from './stats-text.ts';

const DEFAULT_PCAP = 'demo.pcap';
const DEFAULT_SIZE = 64;
const MAX_SIZE = 4096;
/** Every header there is; payload would only make the file long. */
const SNAP_LEN = 128;
const MAX_FRAME = 1514;
/** No step takes this long on any machine, but for a large --size. */
const STEP_LIMIT_MS = 20_000;
const MS_PER_MIB = 500;
/** How long the guest listens for what must not come. */
const IN_VAIN_MS = 250;
const DATAGRAMS = [1, 512, 1472, 4000, 65507];
/** TEST-NET-1, RFC 5737: nobody is there, and nothing is sent there. */
const OUTSIDE = 0xc0000201 | 0;
const FIRST_LEASE = '10.0.2.15';

export const demo: Command = {
  name: 'demo',
  summary: 'show it all in this process, in a few seconds',
  usage: ['demo [--size MIB] [--pcap FILE[,OPTION=VALUE...] ... | --no-pcap]'],
  options: [
    { name: 'size', value: 'MIB', help: `Mebibytes to move in each direction. Default ${DEFAULT_SIZE}.` },
    {
      name: 'pcap',
      value: 'FILE',
      many: true,
      help:
        `Where the capture goes: the first ${SNAP_LEN} bytes of each frame. Default ${DEFAULT_PCAP}. Takes the options ` +
        'that usernet run has for it, such as FILE,snaplen=65535.',
    },
    { name: 'no-pcap', help: 'No capture.' },
  ],
  notes: [
    'A small machine in the same process (our own DHCP client, ARP, TCP and UDP) boots onto a network, downloads from and uploads to a web server on this host through NAT, exchanges datagrams, is refused at a closed port and pings in vain. Each step is checked.',
  ],
  run: (args) => runDemo(args),
};

/** Resolves to the exit status: 0 when everything held. */
export async function runDemo(args: Args, out: Screen = process.stdout): Promise<number> {
  const payload = new Payload(sizeOf(args));
  if (args.has('pcap') && args.has('no-pcap')) throw new UsageError('--no-pcap: not together with --pcap');
  const said = args.has('pcap') ? args.all('pcap') : [DEFAULT_PCAP];
  const captures = openCaptures(args.has('no-pcap') ? [] : said, { snapLen: SNAP_LEN });
  const host = await DemoHost.start(payload);
  const network = createNodeNetwork({});
  const pair = createPair('demo0', MAX_FRAME);
  const screen = new DemoScreen(out);
  try {
    await network.start();
    network.attach(captures.wrap(pair.link));
    watchLink(pair.link);
    const guest = new EmbeddedGuest({ host: network, random: new NodeRandom(), link: pair.peer });
    const run = new DemoRun({ network, guest, host, payload, screen });
    const failed = await run.all();
    guest.close();
    await network.close();
    await captures.close();
    const clean = failed === null ? run.checkClean() : null;
    for (const file of captures.files) screen.step('capture', captureText(file));
    if (failed === null && clean === null) return 0;
    say(`demo: ${failed ?? clean}`);
    return 1;
  } finally {
    await network.close();
    await captures.close();
    host.close();
  }
}

function sizeOf(args: Args): number {
  const text = args.one('size');
  if (text === null) return DEFAULT_SIZE;
  const size = Number(text);
  if (!/^\d+$/.test(text) || size < 1 || size > MAX_SIZE)
    throw new UsageError(`--size: ${JSON.stringify(text)} is not a number from 1 to ${MAX_SIZE}`);
  return size;
}

function captureText({ path, frames, lost, snapLen }: PcapFile): string {
  const unwritten = lost === 0 ? '' : `, ${lost} could not be written`;
  return `${path}: ${frames} frames, the first ${snapLen} bytes of each${unwritten}; try tcpdump -nr ${path}`;
}

interface DemoParts {
  readonly network: Network;
  readonly guest: EmbeddedGuest;
  readonly host: DemoHost;
  readonly payload: Payload;
  readonly screen: DemoScreen;
}

/** Something did not hold. */
class DemoError extends Error {
  override readonly name = 'DemoError';
}

class DemoRun {
  private readonly parts: DemoParts;
  private gateway = 0;

  constructor(parts: DemoParts) {
    this.parts = parts;
  }

  /** Every step; null, or what did not hold. */
  async all(): Promise<string | null> {
    const steps: readonly (readonly [string, () => Promise<string>])[] = [
      ['lease', () => this.boot()],
      ['download', () => this.download()],
      ['upload', () => this.upload()],
      ['datagrams', () => this.datagrams()],
      ['refused', () => this.refused()],
      ['pings', () => this.pings()],
    ];
    const { screen, network, payload } = this.parts;
    const limit = STEP_LIMIT_MS + (payload.length / 2 ** 20) * MS_PER_MIB;
    for (const [name, step] of steps) {
      try {
        screen.step(name, await within(limit, step()));
      } catch (error) {
        return `${name}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    screen.text(`\n${statsText('network 10.0.2.0/24', network.stats())}\n`);
    return null;
  }

  /** After everything was closed: null, or what is left. */
  checkClean(): string | null {
    const { flows, arena, timers } = this.parts.network.stats();
    const left = `${flows.tcp + flows.udp} flows, ${timers} timers, ${arena.used} bytes of buffers`;
    this.parts.screen.step('closed', `${left} left`);
    return flows.tcp + flows.udp + timers + arena.used === 0 ? null : `closed: ${left} left`;
  }

  private async boot(): Promise<string> {
    const { guest } = this.parts;
    const since = performance.now();
    const lease = await guest.boot();
    if (lease.text !== FIRST_LEASE || lease.router === null)
      throw new DemoError(`the lease is ${lease.text}`);
    this.gateway = lease.router;
    return `${leaseText(lease)}, in ${time(performance.now() - since)}`;
  }

  private async download(): Promise<string> {
    const { network, guest, host, payload, screen } = this.parts;
    const since = performance.now();
    const progress = (bytes: number): void => screen.progress('download', bytes, payload.length, since);
    const answer = await download(guest, network.arena.memory, this.at(host.httpPort), progress);
    const ms = performance.now() - since;
    if (answer.length !== payload.length) throw new DemoError(`${answer.length} bytes came`);
    if (answer.digest !== payload.digest) throw new DemoError(`SHA-256 is ${answer.digest}`);
    return transferText(payload, ms);
  }

  private async upload(): Promise<string> {
    const { network, guest, host, payload, screen } = this.parts;
    const since = performance.now();
    const progress = (bytes: number): void => screen.progress('upload', bytes, payload.length, since);
    const { memory } = network.arena;
    const answer = await upload(guest, memory, this.at(host.httpPort), payload, progress);
    const ms = performance.now() - since;
    if (answer.text !== payload.digest) throw new DemoError(`the server's SHA-256 is ${answer.text}`);
    return transferText(payload, ms);
  }

  /** One after the other, each echoed byte for byte. */
  private async datagrams(): Promise<string> {
    const { guest, host, payload } = this.parts;
    const to = this.at(host.echoPort);
    let heard: (data: Uint8Array) => void = () => {};
    const socket = guest.openUdp({ onDatagram: (data) => heard(data) });
    const since = performance.now();
    for (const length of DATAGRAMS) {
      const sent = payload.block.subarray(0, length);
      await new Promise<void>((resolve, reject) => {
        heard = (data) => {
          if (sent.equals(data)) resolve();
          else reject(new DemoError(`${length} bytes came back as ${data.length}, or as others`));
        };
        socket.send(to, sent);
      });
    }
    socket.close();
    const ms = performance.now() - since;
    return `${DATAGRAMS.join(', ')} bytes echoed by ${formatEndpoint(to)}, in ${time(ms)}`;
  }

  private async refused(): Promise<string> {
    const { guest, host } = this.parts;
    const to = this.at(host.closedPort);
    const since = performance.now();
    const reason = await new Promise<GuestClose | 'open'>((resolve) => {
      guest.connectTcp(to, {
        onOpen: () => resolve('open'),
        onClose: (_socket, why) => resolve(why),
      });
    });
    const ms = performance.now() - since;
    if (reason !== 'refused') throw new DemoError(`the closed port ${formatEndpoint(to)} is ${reason}`);
    return `connection to ${formatEndpoint(to)}, a closed port: RST after ${time(ms)}`;
  }

  /** User-mode networking has no raw sockets: every echo is dropped and counted, none is forged. */
  private async pings(): Promise<string> {
    const { guest, network } = this.parts;
    for (let i = 0; i < 3; i++) {
      guest.ping(this.gateway);
      guest.ping(OUTSIDE);
    }
    await new Promise<void>((resolve) => setTimeout(resolve, IN_VAIN_MS));
    const dropped = network.stats().drops['IcmpByDesign'] ?? 0;
    if (guest.pingReplies !== 0) throw new DemoError(`${guest.pingReplies} answers came`);
    if (dropped !== guest.pings) throw new DemoError(`${guest.pings} sent, ${dropped} counted`);
    const whom = `${formatIpv4Word(this.gateway)} and ${formatIpv4Word(OUTSIDE)}`;
    return `${guest.pings} to ${whom} in vain, as designed: no answer, counted as IcmpByDesign`;
  }

  /** A port of the host, as the guest reaches it. */
  private at(port: number): Endpoint {
    return { addr: ipv4Addr(this.gateway), port };
  }
}

function leaseText(lease: Lease): string {
  const { dns, leaseSeconds } = lease.parameters;
  const router = lease.router === null ? 'none' : formatIpv4Word(lease.router);
  const parts = [
    `${lease.text}/${maskBits(lease.mask)}`,
    `gateway ${router}`,
    `name service ${dns.map(formatIpv4Word).join(' ')}`,
    `MTU ${lease.mtu}`,
    `for ${leaseSeconds} s`,
  ];
  return parts.join(', ');
}

function maskBits(mask: number): number {
  return Math.clz32(~mask);
}

function transferText(payload: Payload, ms: number): string {
  const mebibytes = payload.length / 2 ** 20;
  return `${mebibytes} MiB over HTTP in ${time(ms)}, ${rate(payload.length, ms)}, SHA-256 ${payload.digest.slice(0, 16)}... equal`;
}

/** What `work` brings, or an error when that takes longer than `ms`. */
async function within(ms: number, work: Promise<string>): Promise<string> {
  let timeout: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timeout = setTimeout(() => reject(new DemoError(`nothing for ${time(ms)}`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timeout);
  }
}
