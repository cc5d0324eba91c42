import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { NetworkConfig } from '../../src/network/config.ts';
import type { KeptFrame } from '../../src/pcap/frames.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { decode, decodeTcp } from '../../src/replay/decode.ts';
import { replay } from '../../src/replay/replay.ts';
import { capturesIn, framesOf, hasShared, OWN, SHARED } from '../support/captures.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { outputOf, testWith } from '../support/tools.ts';

const DOWNLOAD = join(OWN, 'http-download-libslirp.pcap');

async function mattersOf(name: string, config: NetworkConfig): Promise<string[]> {
  const { differences } = await replay(framesOf(join(OWN, name)), config);
  return differences
    .filter((one) => one.matters)
    .map(({ field, theirs, ours }) => `${field}: ${theirs} / ${ours}`);
}

/** `frames` with the bytes of the n-th changed. */
function changed(
  frames: readonly KeptFrame[],
  at: number,
  change: (bytes: Uint8Array) => Uint8Array,
): KeptFrame[] {
  return frames.map((one, i) => (i === at ? { ...one, bytes: change(Uint8Array.from(one.bytes)) } : one));
}

test('two replays give the same bytes, another seed gives others', async () => {
  for (const name of capturesIn(OWN).filter((one) => one.includes('-libslirp'))) {
    const frames = framesOf(join(OWN, name));
    const [a, b] = [await replay(frames), await replay(frames)];
    expect(Buffer.compare(a.capture, b.capture), name).toBe(0);
  }
  const frames = framesOf(DOWNLOAD);
  const [a, b] = [await replay(frames, {}, { seed: 1 }), await replay(frames, {}, { seed: 2 })];
  expect(Buffer.compare(a.capture, b.capture)).not.toBe(0);
  expect(b.differences).toEqual(a.differences);
});

test('a network that is not the same shows as one', async () => {
  expect(await mattersOf('http-download-libslirp.pcap', { restrict: true })).toContain(
    'tcp.answer: SYN-ACK / RST',
  );
  expect(await mattersOf('http-download-libslirp.pcap', { hostLoopback: false })).toContain(
    'tcp.toGuest: 40152 bytes / -',
  );
  expect(await mattersOf('dhcp-dhclient-libslirp.pcap', { dhcp: false })).toContain(
    'lease.offer: OFFER / none',
  );
  expect(await mattersOf('dhcp-dhclient-libslirp.pcap', { dhcp: { leaseSeconds: 60 } })).toContain(
    'lease.seconds: 86400 / 60',
  );
  expect(await mattersOf('dns-libslirp.pcap', { dns: false })).toContain('tcp.answer: SYN-ACK / none');
  expect(await mattersOf('udp-libslirp.pcap', { restrict: true })).toContain(
    'udp.refusal: ICMP 3/3 / ICMP 3/13',
  );
  expect(await mattersOf('http-upload-libslirp.pcap', { mtu: 576 })).toEqual(['tcp.mss: 1460 / 536']);
});

test('a mistake in the configuration is the usual error', async () => {
  await expect(replay(framesOf(DOWNLOAD), { mtu: 12 })).rejects.toThrow(/^mtu: /);
});

test('a byte that the recorded guest sent otherwise arrives otherwise', async () => {
  const frames = framesOf(join(OWN, 'http-upload-usernet.pcap'));
  const at = frames.findIndex(({ bytes }) => {
    const frame = decode(bytes);
    const segment = frame === null ? null : decodeTcp(frame);
    return segment !== null && segment.dstPort === 80 && segment.data.length > 500;
  });
  expect(at).toBeGreaterThan(0);
  // A checksum that is wrong stays wrong: the engine drops the segment, and the host never gets its bytes.
  const broken = changed(frames, at, (bytes) => {
    bytes[bytes.length - 1]! ^= 1;
    return bytes;
  });
  const { differences, stats } = await replay(broken);
  expect(stats.drops['TcpBadChecksum']).toBe(1);
  expect(differences.filter((one) => one.matters).map((one) => one.field)).toContain('tcp.toHost');
});

test('what a snap length has cut off is taken for zeros', async () => {
  const frames = framesOf(DOWNLOAD).map((one) => ({ ...one, bytes: one.bytes.subarray(0, 96) }));
  const { differences, notes } = await replay(frames);
  expect(notes.join()).toMatch(/\d+ frames cut off in the capture, filled up with zeros/);
  expect(differences.filter((one) => one.matters)).toEqual([]);
});

test('a connection that began before the capture is left out and told', async () => {
  const { notes, facts } = await replay(
    framesOf(DOWNLOAD).filter(({ bytes }) => {
      const frame = decode(bytes);
      const segment = frame === null ? null : decodeTcp(frame);
      return segment === null || (segment.flags & 2) === 0;
    }),
  );
  expect(notes.join()).toMatch(/2 TCP connections begun before the capture, left out/);
  expect(facts).toBeGreaterThan(0);
});

test('nothing is a capture of nothing', async () => {
  const { frames, facts, differences, guests } = await replay([]);
  expect({ frames, facts, differences, guests }).toEqual({
    frames: 0,
    facts: 0,
    differences: [],
    guests: [],
  });
});

test('damaged recordings are replayed as far as they make sense, and nothing throws', async () => {
  const random = new SeededRandom(4);
  for (const name of capturesIn(OWN)) {
    const frames = framesOf(join(OWN, name)).slice(0, 120);
    for (let run = 0; run < 2; run++) {
      const damaged = frames.flatMap((one) => {
        const what = random.below(12);
        const bytes = Uint8Array.from(one.bytes);
        if (what === 0) return [];
        if (what === 1) return [{ ...one, bytes: bytes.subarray(0, random.below(bytes.length + 1)) }];
        if (what === 2) return [one, one];
        if (what === 3) return [{ ...one, seconds: random.word() >>> 0 }];
        if (what < 7)
          for (let i = 0; i < 1 + random.below(4); i++) bytes[random.below(bytes.length)] = random.word();
        return [{ ...one, bytes }];
      });
      const { stats } = await replay(damaged, {}, { seed: run });
      const drops = Object.values(stats.drops).reduce((sum, n) => sum + n, 0);
      expect(stats.accepted + drops, name).toBe(stats.links.reduce((sum, link) => sum + link.framesIn, 0));
    }
  }
});

test.skipIf(!hasShared)('every capture there is can be replayed', { timeout: 60_000 }, async () => {
  let replayed = 0;
  for (const name of capturesIn(SHARED)) {
    const { capture, frames } = await replay(framesOf(join(SHARED, name)));
    const read = readCapture(capture);
    expect([read.damage, read.frames.length], name).toEqual([null, frames]);
    replayed++;
  }
  expect(replayed).toBeGreaterThan(300);
});

testWith('tshark', 'the capture of a replay has no bad checksum and nothing malformed', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'usernet-replay-')), 'out.pcap');
  const bad = ['ip', 'tcp', 'udp'].map((protocol) => `${protocol}.checksum.status == "Bad"`);
  const check = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
  for (const name of ['http-upload-libslirp.pcap', 'udp-65507-libslirp.pcap', 'dhcp-busybox-libslirp.pcap']) {
    const { capture } = await replay(framesOf(join(OWN, name)), { subnet: '192.168.77.0/24' });
    writeFileSync(path, capture);
    expect(outputOf('tshark', ['-nr', path, ...check, '-Y', bad.join(' || ')]), name).toBe('');
  }
  rmSync(dirname(path), { recursive: true });
});
