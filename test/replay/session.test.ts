// A whole session of a Linux guest under libslirp 4.7, and where we answer otherwise.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { replay } from '../../src/replay/replay.ts';
import { framesOf, hasShared, SHARED } from '../support/captures.ts';

/** Field, theirs, ours, and the section of the description of behaviour that says why. */
const KNOWN: readonly (readonly [field: string, theirs: string, ours: string, section: string])[] = [
  [
    'dhcp.options',
    'none',
    '26 58 59 61',
    '2: MTU, renewal and rebinding time; the client id again (RFC 6842)',
  ],
  ['ipv6.answer', 'answered', 'silence', '1: another EtherType is dropped and counted'],
  ['icmp.echo', 'answered', 'silence', '5: no echo is ever answered or forged'],
  ['tcp.windowScale', 'no', 'yes', '3: the SYN-ACK offers what the SYN did'],
  ['tcp.sack', 'no', 'yes', '3: the SYN-ACK offers what the SYN did'],
  ['tcp.timestamps', 'no', 'yes', '3: the SYN-ACK offers what the SYN did'],
];

test.skipIf(!hasShared)(
  'at most ten differences to libslirp, all of them known, none that matters',
  async () => {
    const { differences, facts, matters, guests } = await replay(
      framesOf(join(SHARED, 'qemu-slirp-session.pcap')),
    );
    expect(guests).toEqual(['52:54:00:12:34:56']);
    expect(differences.map(({ field, theirs, ours }) => [field, theirs, ours])).toEqual(
      KNOWN.map(([field, theirs, ours]) => [field, theirs, ours]),
    );
    expect(KNOWN.length).toBeLessThanOrEqual(10);
    expect(
      KNOWN.map(([field]) => field).filter((field) =>
        /lease|toGuest|toHost|close|answer$|refusal/.test(field),
      ),
    ).toEqual(['ipv6.answer']);
    expect(matters).toBe(false);
    expect(facts).toBe(54);
  },
);
