// What tcpdump and tshark make of a capture that usernet wrote: judges that nobody here wrote.

import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';

const CHECKSUMS = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
// What the applications say is random bytes, which tshark shall not take for a protocol; and it would put streams of
// megabytes together to read them.
const PLAIN = ['-d', 'tcp.port==1-65535,data', '-d', 'udp.port==1024-65535,data'];
const OPTIONS = [...CHECKSUMS, ...PLAIN, '-o', 'tcp.desegment_tcp_streams:FALSE'];

function run(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30 });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}\n${done.stderr}${done.error ?? ''}`);
  return done.stdout;
}

/** The packets that match a display filter, by fields; checksums are verified. */
export function tshark(file: string, filter: string, fields: readonly string[]): string[][] {
  const columns = fields.flatMap((field) => ['-e', field]);
  const text = run('tshark', ['-n', '-r', file, ...OPTIONS, '-Y', filter, '-T', 'fields', ...columns]);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}

/** Fails with the packets at fault: a bad checksum, a malformed packet, one cut short. */
export function expectCleanCapture(file: string): void {
  const bad = ['ip', 'tcp', 'udp'].map((protocol) => `${protocol}.checksum.status == "Bad"`);
  const filter = [...bad, 'icmp.checksum.status == "Bad"', '_ws.malformed', '_ws.short'].join(' || ');
  const summary = ['frame.number', 'eth.src', 'eth.dst', '_ws.col.Protocol', '_ws.col.Info'];
  expect(
    tshark(file, filter, summary).slice(0, 10),
    `packets that tshark complains about in ${file}`,
  ).toEqual([]);

  // The columns of -vv name wrong checksums and packets that end too early.
  const complaint = /bad (hdr )?(cksum|len)|bad udp|incorrect|truncated|\[\||malformed|invalid/i;
  const lines = run('tcpdump', ['-nn', '-vv', '-r', file])
    .split('\n')
    .filter((line) => complaint.test(line));
  expect(lines.slice(0, 10), `packets that tcpdump complains about in ${file}`).toEqual([]);
}

/** The ICMP frames that came from this MAC. */
export function icmpFramesFrom(file: string, mac: string): number {
  return tshark(file, `icmp && eth.src == ${mac}`, ['frame.number']).length;
}

/** Milliseconds from the first SYN to the port to the RST that answers it. */
export function refusalMs(file: string, port: number): number {
  const toPort = `tcp.dstport == ${port} && tcp.flags.syn == 1`;
  const reset = `tcp.srcport == ${port} && tcp.flags.reset == 1`;
  const syn = tshark(file, toPort, ['frame.time_relative'])[0];
  const rst = tshark(file, reset, ['frame.time_relative'])[0];
  if (syn === undefined || rst === undefined) throw new Error(`no SYN to port ${port} with a RST in ${file}`);
  return (Number(rst[0]) - Number(syn[0])) * 1000;
}
