import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseIpv4Word, parseMac } from '../../src/base/addr.ts';
import { build, type DhcpFields, MessageType, Op, parse } from '../../src/wire/dhcp.ts';
import {
  buildDecline,
  buildDiscover,
  buildInform,
  buildRelease,
  buildRequest,
  type DhcpClient,
  readParameters,
} from '../../src/wire/dhcp-client.ts';
import {
  domainSearch,
  number,
  Option,
  OptionReader,
  readDomainSearch,
  readNumber,
  readText,
  readWord,
  readWords,
  text,
  writeOptions,
} from '../../src/wire/dhcp-options.ts';

const MAC = parseMac('52:54:00:12:34:56')!;
const word = (address: string): number => parseIpv4Word(address)!;

const FIELDS: DhcpFields = {
  op: Op.Request,
  xid: 0x3903f326,
  secs: 3,
  flags: 0x8000,
  ciaddr: word('10.0.2.15'),
  yiaddr: word('10.0.2.16'),
  siaddr: word('10.0.2.2'),
  giaddr: word('10.0.2.99'),
  chaddr: MAC,
  sname: 'boot.example',
  file: 'pxelinux.0',
};

const read = (bytes: Uint8Array) => parse(new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length);
const withOptions = (...options: number[]): Uint8Array => {
  const bytes = Uint8Array.from([...build(FIELDS, [], 0).subarray(0, 240), ...options]);
  return bytes;
};

describe('messages', () => {
  test('RFC 2131 2: every field is read back as it was written', () => {
    const message = read(build(FIELDS, [[Option.MessageType, number(1, MessageType.Discover)]], 548))!;
    expect(message).toMatchObject({ ...FIELDS, type: MessageType.Discover });
  });

  test('RFC 2131 2: the fixed part has its fields where figure 1 has them', () => {
    const bytes = build(FIELDS, [], 548);
    const v = new DataView(bytes.buffer);
    expect([...bytes.subarray(0, 4)]).toEqual([1, 1, 6, 0]);
    expect(v.getUint32(4)).toBe(0x3903f326);
    expect([...bytes.subarray(8, 28)]).toEqual([
      0, 3, 0x80, 0, 10, 0, 2, 15, 10, 0, 2, 16, 10, 0, 2, 2, 10, 0, 2, 99,
    ]);
    expect([...bytes.subarray(28, 36)]).toEqual([0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0]);
    expect([...bytes.subarray(236, 241)]).toEqual([0x63, 0x82, 0x53, 0x63, 255]);
  });

  test('RFC 1542 2.1: a message has at least 300 bytes, padded with zero', () => {
    const bytes = build(FIELDS, [], 548);
    expect(bytes.length).toBe(300);
    expect([...bytes.subarray(241)].every((byte) => byte === 0)).toBe(true);
  });

  test('RFC 2131 2: sname and file are cut to stay NUL-terminated', () => {
    const message = read(build({ ...FIELDS, sname: 's'.repeat(100), file: 'f'.repeat(200) }, [], 548))!;
    expect(message.sname).toBe('s'.repeat(63));
    expect(message.file).toBe('f'.repeat(127));
  });

  test('RFC 951 3: a message without option 53 is BOOTP, with or without the cookie, and 300 bytes long', () => {
    const bytes = build(FIELDS, [], 0);
    expect(read(bytes)).toMatchObject({ type: MessageType.None });
    expect(read(bytes.subarray(0, 299))).toBeNull();
    bytes.fill(0, 236);
    expect(read(bytes)).toMatchObject({ type: MessageType.None });
    expect(read(bytes.subarray(0, 299))).toBeNull();
  });

  test('a hardware address that is not an Ethernet MAC is refused', () => {
    for (const [at, value] of [
      [1, 6],
      [2, 16],
      [2, 0],
    ] as const) {
      const bytes = build(FIELDS, [], 0);
      bytes[at] = value;
      expect(read(bytes)).toBeNull();
    }
  });

  test('every length below the fixed part is refused', () => {
    const bytes = build(FIELDS, [], 0);
    for (let len = 0; len < 236; len++) expect(read(bytes.subarray(0, len))).toBeNull();
  });
});

describe('options', () => {
  test('RFC 2132 3.1: pad bytes between options are skipped', () => {
    expect(read(withOptions(0, 0, 53, 1, 1, 0, 51, 4, 0, 0, 0, 9, 255))?.type).toBe(1);
  });

  test('a list without END is parsed', () => {
    const message = read(withOptions(53, 1, 3, 50, 4, 10, 0, 2, 15))!;
    expect(message.type).toBe(MessageType.Request);
    expect(readWord(message.options, Option.RequestedAddress)).toBe(word('10.0.2.15'));
  });

  test('what follows END is not read', () => {
    expect(read(withOptions(53, 1, 1, 255, 12, 200))?.options.size).toBe(1);
  });

  test('a list cut off inside an option is refused, wherever the cut is', () => {
    const whole = [53, 1, 3, 12, 3, 0x61, 0x62, 0x63];
    const sizes: (number | undefined)[] = [];
    for (let n = 0; n <= whole.length; n++) sizes.push(read(withOptions(...whole.slice(0, n)))?.options.size);
    const no = undefined;
    expect(sizes).toEqual([no, no, no, 1, no, no, no, no, 2]);
  });

  test('RFC 3396 7: an option that comes several times is one value, in order', () => {
    const message = read(withOptions(53, 1, 1, 67, 2, 0x61, 0x62, 12, 1, 0x78, 67, 2, 0x63, 0x64, 255))!;
    expect(readText(message.options, Option.Bootfile)).toBe('abcd');
  });

  test('RFC 3396 6: a value over 255 bytes goes out in pieces and comes back whole', () => {
    const value = Uint8Array.from({ length: 600 }, (_, i) => i);
    const bytes = build(FIELDS, [[119, value]], 1472);
    expect([bytes[240], bytes[241], bytes[497], bytes[498], bytes[754], bytes[755]]).toEqual([
      119, 255, 119, 255, 119, 90,
    ]);
    expect(read(bytes)?.options.get(119)).toEqual(value);
  });

  test('an option for which there is no room is left out, later ones are not', () => {
    const list: [number, Uint8Array][] = [
      [53, number(1, 2)],
      [119, new Uint8Array(100)],
      [51, number(4, 60)],
    ];
    const options = read(build(FIELDS, list, 300))!.options;
    expect([...options.keys()]).toEqual([53, 51]);
  });

  test('an option fits to the last byte', () => {
    const to = new Uint8Array(11);
    expect(writeOptions(to, 0, 11, [[12, new Uint8Array(8)]])).toBe(11);
    expect(writeOptions(to, 0, 11, [[12, new Uint8Array(9)]])).toBe(1);
    expect(to[0]).toBe(Option.End);
  });

  test('RFC 2132 9.3 and RFC 3396 5: overload 3 reads on in file, then in sname', () => {
    const bytes = withOptions(53, 1, 1, 52, 1, 3, 12, 1, 0x61, 255);
    bytes.fill(0, 44, 236);
    bytes.set([12, 1, 0x63, 255], 44);
    bytes.set([12, 1, 0x62, 255], 108);
    const message = read(bytes)!;
    expect(readText(message.options, Option.HostName)).toBe('abc');
    expect([message.sname, message.file]).toEqual(['', '']);
  });

  test.each([
    [1, 'a', ''],
    [2, '', 'b'],
  ] as const)('overload %i takes one field only', (overload, file, sname) => {
    const bytes = withOptions(53, 1, 1, 52, 1, overload, 255);
    bytes.fill(0, 44, 236);
    bytes.set([66, 1, 0x62, 255], 44);
    bytes.set([67, 1, 0x61, 255], 108);
    const { options } = read(bytes)!;
    expect(readText(options, Option.Bootfile) ?? '').toBe(file);
    expect(readText(options, Option.TftpServerName) ?? '').toBe(sname);
  });

  test('an overload that is no number of 1 to 3, or whose field is cut off, is refused', () => {
    for (const option of [
      [52, 1, 0],
      [52, 1, 4],
      [52, 2, 1, 1],
      [52, 0],
    ]) {
      expect(read(withOptions(53, 1, 1, ...option, 255))).toBeNull();
    }
    const bytes = withOptions(53, 1, 1, 52, 1, 1, 255);
    bytes.fill(12, 108, 236);
    expect(read(bytes)).toBeNull();
  });

  test('a message type that is not one byte of 1 or more is refused', () => {
    for (const option of [
      [53, 0],
      [53, 2, 1, 1],
      [53, 1, 0],
      [53, 1, 1, 53, 1, 1],
    ]) {
      expect(read(withOptions(...option, 255))).toBeNull();
    }
  });

  test('numbers and addresses of a wrong length are not there', () => {
    const { options } = read(withOptions(53, 1, 1, 51, 3, 0, 0, 9, 3, 5, 10, 0, 2, 2, 9, 255))!;
    expect(readNumber(options, Option.LeaseTime, 4)).toBeNull();
    expect(readWords(options, Option.Router)).toEqual([word('10.0.2.2')]);
    expect(readWords(options, Option.Dns)).toEqual([]);
  });

  test('RFC 3397 2: a search list is read with compression, pointing backwards only', () => {
    const value = [...domainSearch(['eng.example.com'])];
    const market = [6, 0x6d, 0x61, 0x72, 0x6b, 0x65, 0x74, 0xc0, 4];
    const read119 = (bytes: number[]): string[] =>
      readDomainSearch(new Map([[Option.DomainSearch, Uint8Array.from(bytes)]]));
    expect(read119([...value, ...market])).toEqual(['eng.example.com', 'market.example.com']);
    expect(read119([0xc0, 0])).toEqual([]);
    expect(read119([1, 0x61, 0xc0, 0])).toEqual([]);
    expect(read119([1, 0x61, 0xc0])).toEqual([]);
  });
});

describe('what a client sends', () => {
  const client: DhcpClient = {
    xid: 7,
    mac: MAC,
    secs: 1,
    broadcast: true,
    clientId: Uint8Array.of(1, 2, 3),
    hostname: 'vm',
    parameters: [1, 3, 6],
  };

  test('RFC 2131 table 5: which address stands where, by message', () => {
    const own = word('10.0.2.15');
    const server = word('10.0.2.2');
    const rows = [
      buildDiscover(client, own),
      buildRequest(client, { requested: own, serverId: server }),
      buildRequest(client, { requested: own }),
      buildRequest(client, { ciaddr: own }),
      buildDecline(client, own, server),
      buildRelease(client, own, server),
      buildInform(client, own),
    ].map((bytes) => {
      const m = read(bytes)!;
      const at = (code: number): boolean => m.options.has(code);
      return [
        m.type,
        m.ciaddr !== 0,
        at(Option.RequestedAddress),
        at(Option.ServerId),
        at(Option.ParameterList),
      ];
    });
    expect(rows).toEqual([
      [MessageType.Discover, false, true, false, true],
      [MessageType.Request, false, true, true, true],
      [MessageType.Request, false, true, false, true],
      [MessageType.Request, true, false, false, true],
      [MessageType.Decline, false, true, true, false],
      [MessageType.Release, true, false, true, false],
      [MessageType.Inform, true, false, false, true],
    ]);
  });

  test('an ACK is read with all that it says', () => {
    const ack = build(
      { ...FIELDS, op: Op.Reply },
      [
        [Option.MessageType, number(1, MessageType.Ack)],
        [Option.ServerId, number(4, word('10.0.2.2'))],
        [Option.SubnetMask, number(4, word('255.255.255.0'))],
        [Option.Router, number(4, word('10.0.2.2'))],
        [Option.Dns, Uint8Array.of(10, 0, 2, 3, 8, 8, 8, 8)],
        [Option.Mtu, number(2, 9000)],
        [Option.LeaseTime, number(4, 0xffffffff)],
        [Option.RenewalTime, number(4, 1800)],
        [Option.RebindingTime, number(4, 3150)],
        [Option.HostName, text('vm')],
        [Option.DomainName, text('example.org')],
        [Option.DomainSearch, domainSearch(['a.example', 'b.example'])],
        [Option.TftpServerName, text('boot')],
        [Option.Bootfile, text('pxe.0')],
      ],
      548,
    );
    expect(readParameters(read(ack)!)).toEqual({
      address: word('10.0.2.16'),
      serverId: word('10.0.2.2'),
      subnetMask: word('255.255.255.0'),
      routers: [word('10.0.2.2')],
      dns: [word('10.0.2.3'), word('8.8.8.8')],
      mtu: 9000,
      leaseSeconds: 0xffffffff,
      renewalSeconds: 1800,
      rebindingSeconds: 3150,
      hostname: 'vm',
      domainName: 'example.org',
      domainSearch: ['a.example', 'b.example'],
      tftpServerName: 'boot',
      bootfile: 'pxe.0',
    });
  });

  test('a reply that says nothing has nothing', () => {
    const parameters = readParameters(read(build(FIELDS, [], 0))!);
    expect(parameters.serverId).toBeNull();
    expect(parameters.routers).toEqual([]);
    expect(parameters.domainSearch).toEqual([]);
  });
});

describe('any bytes', () => {
  test('never throw, in the options or as a whole', () => {
    const header = build(FIELDS, [], 0).subarray(0, 240);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), fc.boolean(), (tail, whole) => {
        const bytes = whole ? tail : Uint8Array.from([...header, ...tail]);
        const message = read(bytes);
        if (message !== null) readParameters(message);
      }),
      { numRuns: 500 },
    );
  });

  test('never throw as fields full of options', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 192, maxLength: 192 }),
        fc.integer({ min: 1, max: 3 }),
        (area, overload) => {
          const bytes = withOptions(53, 1, 1, 52, 1, overload, 255);
          bytes.set(area, 44);
          const message = read(bytes);
          if (message !== null) readParameters(message);
        },
      ),
    );
  });

  test('options survive writing and reading', () => {
    const option = fc.tuple(fc.integer({ min: 1, max: 254 }), fc.uint8Array({ maxLength: 300 }));
    fc.assert(
      fc.property(fc.uniqueArray(option, { selector: ([code]) => code, maxLength: 8 }), (list) => {
        const to = new Uint8Array(4096);
        const reader = new OptionReader();
        const end = writeOptions(to, 0, to.length, list);
        expect(reader.read(new DataView(to.buffer), 0, end)).toBe(true);
        expect([...reader.options]).toEqual(list);
      }),
    );
  });
});
