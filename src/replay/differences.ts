// Where two meanings differ, and whether that matters.

import type { Fact, Facts } from './meaning.ts';

/** Something that a guest got in the capture and not here, or the other way round. */
export interface Difference {
  /** `tcp.sack`. */
  readonly field: string;
  /** What the recorded network said, and what ours does. `-`: nothing about it. */
  readonly theirs: string;
  readonly ours: string;
  /** Does a guest, or whoever talks to it, get something else? */
  readonly matters: boolean;
  /** Why it does not matter; '' where it does. */
  readonly why: string;
  /** What it is about, `tcp 10.0.2.15:1024 > 10.0.2.2:80`; each has the same difference. */
  readonly subjects: readonly string[];
}

/** Why a difference in this field does not matter; null where it does. */
type Verdict = (theirs: string, ours: string) => string | null;

const matters: Verdict = () => null;
const never =
  (why: string): Verdict =>
  () =>
    why;
/** An option that ours offers and theirs does not is a gain. */
const gain: Verdict = (theirs) => (theirs === 'yes' ? null : 'ours offers more');

const FIELDS: Readonly<Record<string, Verdict>> = {
  'lease.address': never('the replayed guest goes on with the address that it got'),
  'dhcp.inform': (theirs) => (theirs === 'none' ? 'ours answers' : null),
  'dhcp.options': never('a server may say more or less beside the lease'),
  'tcp.mss': (theirs, ours) =>
    Number(ours) >= (Number(theirs) || 536) ? 'ours takes larger segments' : null,
  'tcp.windowScale': gain,
  'tcp.sack': gain,
  'tcp.timestamps': gain,
  'tcp.finAcknowledged': (theirs) => (theirs === 'yes' ? null : 'ours acknowledges more'),
  'icmp.echo': never('ICMP from guests is dropped by design'),
  'ipv6.answer': never('IPv6 is not served'),
};

const LACKING = 'the capture lacks frames of it';

/** Where the one answers and the other does not, or otherwise, the rest says nothing more. */
const FOLLOWS: Readonly<Record<string, readonly string[]>> = {
  'tcp.answer': [
    ...['tcp.mss', 'tcp.windowScale', 'tcp.sack', 'tcp.timestamps'],
    ...['tcp.close', 'tcp.finAcknowledged'],
  ],
  'dhcp.inform': [
    ...['lease.address', 'lease.mask', 'lease.router', 'lease.dns', 'lease.seconds', 'lease.server'],
    'dhcp.options',
  ],
};

type Fields = ReadonlyMap<string, Fact> | undefined;

function isConsequence(field: string, a: Fields, b: Fields): boolean {
  return Object.entries(FOLLOWS).some(
    ([answer, fields]) => fields.includes(field) && a?.get(answer)?.text !== b?.get(answer)?.text,
  );
}

/**
 * Differences by field, those that matter first; the same one of several subjects is one. `incomplete`: subjects of which
 * the recording does not show everything, so that nothing about them matters.
 */
export function differencesBetween(
  theirs: Facts,
  ours: Facts,
  incomplete: ReadonlySet<string> = new Set(),
): Difference[] {
  const found = new Map<string, { difference: Omit<Difference, 'subjects'>; subjects: string[] }>();
  for (const subject of new Set([...theirs.keys(), ...ours.keys()])) {
    const a = theirs.get(subject);
    const b = ours.get(subject);
    for (const field of new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])) {
      const [left, right] = [a?.get(field), b?.get(field)];
      if (isSame(left, right) || isConsequence(field, a, b)) continue;
      const text = textsOf(left, right);
      const verdict = incomplete.has(subject) ? never(LACKING) : (FIELDS[field] ?? matters);
      const why = verdict(text.theirs, text.ours);
      const key = `${field} ${text.theirs} ${text.ours} ${why}`;
      const entry = found.get(key) ?? {
        difference: { field, ...text, matters: why === null, why: why ?? '' },
        subjects: [],
      };
      entry.subjects.push(subject);
      found.set(key, entry);
    }
  }
  const all = [...found.values()].map(({ difference, subjects }) => ({ ...difference, subjects }));
  return all.sort((a, b) => Number(b.matters) - Number(a.matters));
}

/** How many facts there are. */
export function countFacts(facts: Facts): number {
  let count = 0;
  for (const fields of facts.values()) count += fields.size;
  return count;
}

function isSame(theirs: Fact | undefined, ours: Fact | undefined): boolean {
  if (theirs === undefined || ours === undefined) return theirs === ours;
  if (theirs.bytes === undefined || ours.bytes === undefined) return theirs.text === ours.text;
  const common = commonLength(theirs.bytes, ours.bytes);
  if (theirs.needed !== undefined) return common >= theirs.needed;
  return common === theirs.bytes.length && common === ours.bytes.length;
}

function textsOf(theirs: Fact | undefined, ours: Fact | undefined): { theirs: string; ours: string } {
  const texts = { theirs: theirs?.text ?? '-', ours: ours?.text ?? '-' };
  if (theirs?.bytes === undefined || ours?.bytes === undefined || theirs.text !== ours.text) return texts;
  return {
    ...texts,
    ours: `${texts.ours}, other ones from byte ${commonLength(theirs.bytes, ours.bytes)} on`,
  };
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n++;
  return n;
}
