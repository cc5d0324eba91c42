// Expressions of the filter language: ones that people write, ones over what a capture holds, and random ones from a
// grammar of its words over the addresses and ports of filter-frames.ts.

import fc from 'fast-check';
import { ETHER_TYPES, IPV4, IPV6, MACS, PORTS, PROTOCOLS, VLANS } from './filter-frames.ts';

const of = (...words: string[]) => fc.constantFrom(...words);
const maybe = (...words: string[]) => of('', ...words.map((word) => `${word} `));
const number = (list: readonly number[]) =>
  fc
    .constantFrom(...list)
    .chain((n) => of(`${n}`, `0x${n.toString(16)}`, `0${n === 0 ? '' : n.toString(8)}`));
const sentence = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((words) => words.join(''));

const direction = maybe('src', 'dst', 'src or dst', 'dst or src', 'src and dst', 'dst && src');
const someDirection = of('src ', 'dst ', 'src or dst ', 'src and dst ');

const ipv4 = of(...IPV4, '10.0.2', '10.0', '0x0a000202', '10');
const ipv4Net = of(
  ...['10', '10.0', '10.0.2', '10.0.2.0', '0', '0x0a00', '256'],
  ...['0.0.0.0/0', '10.0.0.0/8', '10.0.2.0/23', '10.0.2/24', '192.168.1.1/32', '224.0.0.0/4', '128.0.0.0/1'],
  ...['10.0.0.0 mask 255.0.0.0', '10.0 mask 255.255', '10.0.0.2 mask 255.0.0.255', '0.0.0.0 mask 0.0.0.0'],
);
const ipv6Net = of(
  ...IPV6,
  'fe80::/10',
  'fe80::/64',
  'ff00::/8',
  '::/0',
  '::ffff:0:0/96',
  'fe80::/127',
  'fd00::/33',
);
const range = fc.tuple(fc.constantFrom(...PORTS), fc.constantFrom(...PORTS)).map(([a, b]) => `${a}-${b}`);
const portName = of('http', 'https', 'domain', 'ssh', 'bootps', 'bootpc', 'tftp', 'ntp', 'mdns');
const port = fc.oneof({ weight: 4, arbitrary: number(PORTS) }, { weight: 1, arbitrary: portName });
const mac = fc
  .constantFrom(...MACS)
  .chain((text) => of(text, text.replaceAll(':', '-'), text.replaceAll(':', ''), text.toUpperCase()));
const ipProtocol = fc.oneof(number(PROTOCOLS), of('\\tcp ', '\\udp ', '\\icmp ', '\\ipv6-icmp ', '\\sctp '));
const etherProtocol = fc.oneof(
  number([...ETHER_TYPES, 0x06, 0x42, 0xe0, 0xf0, 0xfe, 1500, 1501, 65535]),
  of('\\ip ', '\\ip6 ', '\\arp ', '\\rarp '),
);

/** Qualifiers with the ids that may follow them. */
const QUALIFIED: readonly (readonly [fc.Arbitrary<string>, fc.Arbitrary<string>])[] = [
  [sentence(maybe('ip', 'arp', 'rarp'), direction, of('host ')), ipv4],
  [sentence(maybe('ip', 'arp', 'rarp'), someDirection), ipv4],
  [sentence(maybe('ip', 'arp', 'rarp'), direction, of('net ')), ipv4Net],
  [sentence(maybe('ip6'), direction, of('host ')), of(...IPV6)],
  [sentence(maybe('ip6'), direction, of('net ')), ipv6Net],
  [sentence(maybe('tcp', 'udp', 'sctp'), direction, of('port ')), number(PORTS)],
  [sentence(direction, of('port ')), port],
  [sentence(maybe('tcp', 'udp', 'sctp'), direction, of('portrange ')), range],
  [sentence(of('ether ', 'link '), fc.oneof(someDirection, sentence(direction, of('host ')))), mac],
  [of('proto ', 'ip proto ', 'ip6 proto '), ipProtocol],
  [of('ether proto '), etherProtocol],
];

const alone = fc.oneof(
  of('ip', 'ip6', 'arp', 'rarp', 'tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'igmp', 'ah', 'esp', 'pim', 'vrrp'),
  of(
    'broadcast',
    'multicast',
    'ether broadcast',
    'ether multicast',
    'ip multicast',
    'ip broadcast',
    'ip6 multicast',
  ),
  sentence(of('less ', 'greater '), number([0, 14, 42, 60, 64, 100, 0x3fffffff])),
  fc.oneof(of('vlan'), sentence(of('vlan '), number(VLANS))),
);

const operator = of(' and ', ' && ', ' or ', ' || ', '&&', '||');
const negation = fc.oneof(
  { weight: 3, arbitrary: of('') },
  { weight: 1, arbitrary: of('not ', '!', '! not ') },
);

/** An id, or ids under the same qualifiers, in a group or one after the other. */
function ids(id: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const negated = sentence(negation, id);
  return fc.oneof(
    { weight: 4, arbitrary: id },
    // A group begins with an id, or tcpdump refuses it.
    { weight: 1, arbitrary: sentence(of('('), id, operator, negated, of(')')) },
    { weight: 1, arbitrary: sentence(id, operator, negated, operator, negated) },
    { weight: 1, arbitrary: sentence(id, operator, of('('), negated, operator, negated, of(')')) },
  );
}

const qualified = fc.oneof(...QUALIFIED.map(([qualifiers, id]) => sentence(qualifiers, ids(id))));
const primitive = fc.oneof({ weight: 3, arbitrary: qualified }, { weight: 1, arbitrary: alone });

/** What tcpdump understands. */
export const expression: fc.Arbitrary<string> = fc.letrec<{ whole: string; term: string }>((tie) => ({
  term: fc.oneof(
    { depthSize: 'small' },
    sentence(negation, primitive),
    sentence(negation, of('('), tie('whole'), of(')')),
  ),
  whole: fc.oneof(
    { depthSize: 'small' },
    tie('term'),
    sentence(tie('term'), operator, tie('term')),
    sentence(tie('term'), operator, tie('term'), operator, tie('term')),
  ),
})).whole;

/** Words and signs in any order: hardly ever an expression. */
export const salad: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      of(
        'and',
        'or',
        'not',
        '(',
        ')',
        '/',
        '!',
        '&&',
        '||',
        'src',
        'dst',
        'host',
        'net',
        'port',
        'portrange',
        'proto',
      ),
      of(
        'ether',
        'ip',
        'ip6',
        'arp',
        'tcp',
        'udp',
        'icmp',
        'less',
        'greater',
        'vlan',
        'mask',
        'broadcast',
        'multicast',
      ),
      of(
        'len',
        'gateway',
        'foo',
        '\\tcp',
        '\\',
        '[',
        '-',
        ':',
        '::',
        '.',
        '0x',
        '08',
        '1-2',
        '256.1.1.1',
        '99999999999',
      ),
      ipv4Net,
      ipv6Net,
      mac,
      port,
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((words) => words.join(' '));
