// What tcpdump and tshark make of a capture that usernet wrote: judges that nobody here wrote.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';

const CHECKSUMS = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
// What the applications say is random bytes, which tshark shall not take for a protocol; and it would put streams of
// megabytes together to read them.
const PLAIN = ['-d', 'tcp.port==1-65535,data', '-d', 'udp.port==1024-65535,data'];
const OPTIONS = [...CHECKSUMS, ...PLAIN, '-o', 'tcp.desegment_tcp_streams:FALSE'];

function run(command: string, args: readonly string[]): Buffer {
  const done = spawnSync(command, args, { maxBuffer: 1 << 30 });
  if (done.status === 0) return done.stdout;
  throw new Error(`${command} ${args.join(' ')}\n${done.stderr}${done.error ?? ''}`);
}

function lines(text: Buffer): string[] {
  return text
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

/** Fields, as tshark calls them, of the packets that match a filter of pcap-filter(7). */
export function packets(file: string, filter: string, fields: readonly string[]): string[][] {
  // tcpdump finds them a hundred times faster.
  const found = run('tcpdump', ['-r', file, '-w', '-', filter]);
  const part = `${file}.part`;
  writeFileSync(part, found);
  return tshark(['-r', part], fields);
}

function tshark(args: readonly string[], fields: readonly string[]): string[][] {
  const columns = fields.flatMap((field) => ['-e', field]);
  const text = run('tshark', ['-n', ...args, ...OPTIONS, '-T', 'fields', ...columns]);
  return lines(text).map((line) => line.split('\t'));
}

/** Fails with the packets at fault: a bad checksum, a malformed packet, one cut short. */
export function expectCleanCapture(file: string): void {
  const bad = ['ip', 'tcp', 'udp', 'icmp'].map((protocol) => `${protocol}.checksum.status == "Bad"`);
  // QEMU's NICs that sum for the guest write 0xffff where RFC 793 has 0x0000: the same number, which only tshark minds.
  // Ours never do; our MACs begin with 52:55.
  const quirk = '(tcp.checksum == 0xffff && !(eth.src[0:2] == 52:55))';
  const filter = `(${[...bad, '_ws.malformed', '_ws.short'].join(' || ')}) && !${quirk}`;
  const summary = ['frame.number', 'eth.src', 'eth.dst', '_ws.col.Protocol', '_ws.col.Info'];
  const faults = tshark(['-r', file, '-Y', filter], summary);
  expect(faults.slice(0, 10), `packets that tshark complains about in ${file}`).toEqual([]);

  // What -vv says of wrong checksums and of packets that end too early.
  const complaint = /bad (hdr )?(cksum|len)|bad udp|incorrect|truncated|\[\||malformed|invalid/i;
  const complaints = lines(run('tcpdump', ['-nn', '-vv', '-r', file])).filter((line) => complaint.test(line));
  expect(complaints.slice(0, 10), `packets that tcpdump complains about in ${file}`).toEqual([]);
}

/** Fails with the packets that tshark takes for lost, sent again or out of order: for a link on which nothing was. */
export function expectNoLoss(file: string): void {
  const findings = [
    'lost_segment',
    'ack_lost_segment',
    'retransmission',
    'spurious_retransmission',
    'out_of_order',
  ];
  const filter = findings.map((finding) => `tcp.analysis.${finding}`).join(' || ');
  const faults = tshark(['-r', file, '-Y', filter], ['frame.number', 'ip.src', '_ws.col.Info']);
  expect(faults.slice(0, 10), `what tshark says of ${file}`).toEqual([]);
}

/** How many ICMP frames came from this MAC. */
export function icmpFramesFrom(file: string, mac: string): number {
  return packets(file, `icmp and ether src ${mac}`, ['frame.number']).length;
}

export function echoReplies(file: string): string[][] {
  return packets(file, 'icmp[icmptype] == icmp-echoreply', ['ip.src', 'ip.dst']);
}

/** Milliseconds from the first SYN to the port to the RST that answers it. */
export function refusalMs(file: string, port: number): number {
  const both = packets(file, `tcp port ${port}`, ['frame.time_epoch', 'tcp.flags.syn', 'tcp.flags.reset']);
  const syn = both.find((packet) => packet[1] === '1');
  const rst = both.find((packet) => packet[2] === '1');
  if (syn === undefined || rst === undefined) throw new Error(`no SYN to port ${port} with a RST in ${file}`);
  return (Number(rst[0]) - Number(syn[0])) * 1000;
}
