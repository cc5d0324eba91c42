// DHCP and DNS messages as plain objects, for layers.ts.

import { formatIpv4Word, formatMac } from '../base/addr.ts';
import { asciiText } from './ascii.ts';
import * as dhcp from './dhcp.ts';
import * as dns from './dns.ts';
import { hexText, type Layer } from './layers-values.ts';

/** RFC 2132 9.6, in the words of RFC 2131. */
const DHCP_TYPES = [
  ...['', 'DHCPDISCOVER', 'DHCPOFFER', 'DHCPREQUEST', 'DHCPDECLINE'],
  ...['DHCPACK', 'DHCPNAK', 'DHCPRELEASE', 'DHCPINFORM'],
];

/** The message at [at, end), all of it. Fields of RFC 2131 2; what the engine's own parser refuses is malformed. */
export function dhcpLayer(v: DataView, at: number, end: number): Layer {
  const message = dhcp.parse(v, at, end - at);
  if (message === null) return { layer: 'dhcp', malformed: true };
  const { op, xid, secs, flags, sname, file, type } = message;
  const messageType = DHCP_TYPES[type] ?? `message type ${type}`;
  return {
    ...{ layer: 'dhcp', op, xid: xid >>> 0, secs, flags },
    ciaddr: formatIpv4Word(message.ciaddr),
    yiaddr: formatIpv4Word(message.yiaddr),
    siaddr: formatIpv4Word(message.siaddr),
    giaddr: formatIpv4Word(message.giaddr),
    chaddr: formatMac(message.chaddr.hi, message.chaddr.lo),
    ...{ sname, file },
    ...(messageType === '' ? {} : { messageType }),
    options: [...message.options].map(([code, value]) => ({ code, data: hexText(value) })),
  };
}

/** Of a message with more questions, which nobody asks, the others are left out. */
const MAX_QUESTIONS = 16;
const MAX_LABEL = 63;
const MAX_LABELS = 128;

/** The message at [at, end): header and questions. Fields of RFC 1035 4.1, flags as booleans. */
export function dnsLayer(v: DataView, at: number, end: number): Layer {
  if (end - at < dns.HEADER_LEN) return { layer: 'dns', truncated: true };
  const word = (n: number): number => v.getUint16(at + 2 * n);
  const bits = word(1);
  const { questions, isWhole } = readQuestions(v, at + dns.HEADER_LEN, end, Math.min(word(2), MAX_QUESTIONS));
  return {
    ...{ layer: 'dns', id: word(0), qr: bits >>> 15, opcode: (bits >>> 11) & 15 },
    ...{ aa: (bits & 0x0400) !== 0, tc: (bits & 0x0200) !== 0, rd: (bits & 0x0100) !== 0 },
    ...{ ra: (bits & 0x0080) !== 0, rcode: bits & 15 },
    ...{ qdcount: word(2), ancount: word(3), nscount: word(4), arcount: word(5) },
    questions,
    ...(isWhole ? {} : { malformed: true }),
  };
}

function readQuestions(
  v: DataView,
  at: number,
  end: number,
  count: number,
): { questions: Record<string, string | number>[]; isWhole: boolean } {
  const questions: Record<string, string | number>[] = [];
  let i = at;
  for (let n = 0; n < count; n++) {
    const labels: string[] = [];
    for (; i < end && v.getUint8(i) !== 0; i += 1 + v.getUint8(i)) {
      const len = v.getUint8(i);
      // A name in a question has no pointers.
      if (len > MAX_LABEL || i + 1 + len > end || labels.length === MAX_LABELS)
        return { questions, isWhole: false };
      labels.push(asciiText(v, i + 1, len));
    }
    if (i + 5 > end) return { questions, isWhole: false };
    questions.push({
      qname: labels.join('.') || '.',
      qtype: v.getUint16(i + 1),
      qclass: v.getUint16(i + 3),
    });
    i += 5;
  }
  return { questions, isWhole: true };
}
