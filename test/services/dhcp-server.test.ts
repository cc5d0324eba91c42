import { describe, expect, test } from 'vitest';
import { formatIp, formatMac } from '../../src/base/addr.ts';
import { Drop } from '../../src/base/drop.ts';
import { OFFER_MS, REST_MS } from '../../src/services/dhcp-leases.ts';
import type { Peer } from '../../src/services/service.ts';
import { BROADCAST, MessageType } from '../../src/wire/dhcp.ts';
import {
  buildDecline,
  buildDiscover,
  buildInform,
  buildRelease,
  buildRequest,
  readParameters,
} from '../../src/wire/dhcp-client.ts';
import { number, Option, type OptionValue } from '../../src/wire/dhcp-options.ts';
import { DAY, DhcpBench, GATEWAY, mac, raw, withId, word } from '../support/dhcp-bench.ts';
import { peer } from '../support/fake-ports.ts';

describe('DISCOVER', () => {
  test('the first guest is offered 10.0.2.15, the next 10.0.2.16', () => {
    const b = new DhcpBench();
    expect(b.lease(mac(1))).toBe('10.0.2.15');
    expect(b.lease(mac(2))).toBe('10.0.2.16');
    expect(b.offer(mac(3))).toBe('10.0.2.17');
  });

  test('an OFFER says everything, option 53 first', () => {
    const b = new DhcpBench({
      mtu: 9000,
      dhcp: {
        hostname: 'vm',
        domainName: 'example.org',
        domainSearch: ['a.example', 'b.example'],
        tftpServerName: '10.0.2.4',
        bootfile: 'pxe.0',
      },
    });
    const { message, bytes } = b.ask(buildDiscover(mac(1), null))!;
    expect(message.type).toBe(MessageType.Offer);
    expect([...bytes.subarray(240, 243)]).toEqual([53, 1, 2]);
    expect(bytes.length).toBeGreaterThanOrEqual(300);
    expect(message).toMatchObject({
      op: 2,
      xid: 0x1001,
      siaddr: word('10.0.2.4'),
      sname: '10.0.2.4',
      file: 'pxe.0',
    });
    expect(readParameters(message)).toEqual({
      address: word('10.0.2.15'),
      serverId: GATEWAY,
      subnetMask: word('255.255.255.0'),
      routers: [GATEWAY],
      dns: [word('10.0.2.3')],
      mtu: 9000,
      leaseSeconds: 86400,
      renewalSeconds: 43200,
      rebindingSeconds: 75600,
      hostname: 'vm',
      domainName: 'example.org',
      domainSearch: ['a.example', 'b.example'],
      tftpServerName: '10.0.2.4',
      bootfile: 'pxe.0',
    });
  });

  test('restrict: neither router nor name service', () => {
    const parameters = readParameters(
      new DhcpBench({ restrict: true }).ask(buildDiscover(mac(1), null))!.message,
    );
    expect(parameters).toMatchObject({ routers: [], dns: [], mtu: 1500, serverId: GATEWAY });
  });

  test('without a name service there is no option 6', () => {
    const parameters = readParameters(
      new DhcpBench({ dns: false }).ask(buildDiscover(mac(1), null))!.message,
    );
    expect(parameters).toMatchObject({ routers: [GATEWAY], dns: [] });
  });

  test('RFC 2132 9.8: what the client asks for comes in its order, after 53, 54 and 51', () => {
    const client = { ...mac(1), parameters: [26, 6, 42, 59, 26] };
    const { message } = new DhcpBench().ask(buildDiscover(client, null))!;
    expect([...message.options.keys()]).toEqual([53, 54, 51, 26, 6, 59, 58, 1, 3]);
  });

  test('RFC 2132 3.3: the subnet mask comes before the router, also when asked for after it', () => {
    const client = { ...mac(1), parameters: [3, 6, 1] };
    const { message } = new DhcpBench().ask(buildDiscover(client, null))!;
    expect([...message.options.keys()]).toEqual([53, 54, 51, 1, 3, 6, 58, 59, 26]);
  });

  test('RFC 2132 9.10: a reply is no longer than the client says, and never has to be shorter than 576', () => {
    const long = Array.from({ length: 8 }, (_, i) => `${'x'.repeat(i + 20)}.example`);
    const b = new DhcpBench({
      dhcp: { domainSearch: long.slice(0, 5), bootfile: 'b'.repeat(127), hostname: 'h'.repeat(63) },
    });
    const sizes = [0, 576, 1500, 65535].map((size) => {
      const bytes = raw(MessageType.Discover, {}, [[Option.MaxMessageSize, number(2, size)]]);
      const answer = b.ask(bytes)!;
      return [answer.bytes.length <= 548, answer.message.options.has(Option.DomainSearch)];
    });
    expect(sizes).toEqual([
      [true, false],
      [true, false],
      [false, true],
      [false, true],
    ]);
  });

  test('RFC 6842 3: the client id goes back, also in a NAK', () => {
    const b = new DhcpBench();
    const client = withId(mac(1), [255, 1, 2]);
    expect(b.ask(buildDiscover(client, null))!.message.options.get(61)).toEqual(client.clientId);
    const nak = b.ask(buildRequest(client, { requested: word('10.9.9.9') }))!.message;
    expect(nak.type).toBe(MessageType.Nak);
    expect(nak.options.get(61)).toEqual(client.clientId);
  });

  test('RFC 2131 4.3.1: the address it asks for, when that is free', () => {
    const b = new DhcpBench();
    expect(b.offer(mac(1), '10.0.2.77')).toBe('10.0.2.77');
    expect(b.offer(mac(2), '10.0.2.77')).toBe('10.0.2.15');
    expect(b.offer(mac(3), '192.168.1.1')).toBe('10.0.2.16');
  });

  test('a second DISCOVER is offered the same address', () => {
    const b = new DhcpBench();
    expect(b.offer(mac(1))).toBe('10.0.2.15');
    expect(b.offer(mac(2))).toBe('10.0.2.16');
    expect(b.offer(mac(1), '10.0.2.99')).toBe('10.0.2.15');
  });
});

describe('where a reply goes, RFC 2131 4.1', () => {
  const where = (to: Peer): string =>
    `${formatIp(to.addr)}:${to.port} ${formatMac(to.mac.hi, to.mac.lo)} ${to.ingress}`;
  const from = peer('0.0.0.0', 68, '52:54:00:00:00:99', 4);

  test.each([
    ['to the address it is given', {}, '10.0.2.15:68 52:54:00:00:00:01 4'],
    ['to all with the broadcast flag', { flags: BROADCAST }, '255.255.255.255:68 ff:ff:ff:ff:ff:ff 4'],
    ['to the relay', { giaddr: word('10.0.2.50') }, '10.0.2.50:67 52:54:00:00:00:99 4'],
  ])('an OFFER goes %s', (_, fields, expected) => {
    expect(where(new DhcpBench().ask(raw(MessageType.Discover, fields), from)!.to)).toBe(expected);
  });

  test('a renewal goes to ciaddr, whatever the broadcast flag', () => {
    const b = new DhcpBench();
    b.lease(mac(1), from);
    const bytes = raw(MessageType.Request, { ciaddr: word('10.0.2.15'), flags: BROADCAST });
    expect(where(b.ask(bytes, from)!.to)).toBe('10.0.2.15:68 52:54:00:00:00:01 4');
  });

  test('a NAK goes to all; through a relay it tells the relay to broadcast', () => {
    const b = new DhcpBench();
    const wrong: OptionValue[] = [[Option.RequestedAddress, number(4, word('10.9.9.9'))]];
    const direct = b.ask(raw(MessageType.Request, {}, wrong), from)!;
    expect(where(direct.to)).toBe('255.255.255.255:68 ff:ff:ff:ff:ff:ff 4');
    expect(direct.message).toMatchObject({ type: MessageType.Nak, yiaddr: 0, siaddr: 0, flags: 0 });
    const relayed = b.ask(raw(MessageType.Request, { giaddr: word('10.0.2.50') }, wrong), from)!;
    expect(where(relayed.to)).toBe('10.0.2.50:67 52:54:00:00:00:99 4');
    expect(relayed.message.flags).toBe(BROADCAST);
  });

  test('a relay outside of the network, or at the gateway itself, is not answered', () => {
    const b = new DhcpBench();
    for (const giaddr of ['10.0.3.1', '10.0.2.2', '10.0.2.255', '10.0.2.0']) {
      expect(b.send(raw(MessageType.Discover, { giaddr: word(giaddr) }))).toBe(Drop.DhcpNotForUs);
    }
    expect(b.ports.sent).toEqual([]);
  });
});

describe('REQUEST, RFC 2131 4.3.2', () => {
  test('SELECTING: the offered address is acknowledged, and told once', () => {
    const b = new DhcpBench();
    expect(b.offer(mac(1))).toBe('10.0.2.15');
    expect(b.events).toEqual([]);
    const ack = b.ask(buildRequest(mac(1), { requested: word('10.0.2.15'), serverId: GATEWAY }))!;
    expect(ack.message.type).toBe(MessageType.Ack);
    expect(readParameters(ack.message)).toMatchObject({ leaseSeconds: 86400, address: word('10.0.2.15') });
    expect(b.renew(mac(1), '10.0.2.15')).toBe('10.0.2.15');
    expect(b.events).toEqual(['52:54:00:00:00:01 10.0.2.15']);
  });

  test('SELECTING: an address that is taken or foreign is refused', () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    b.offer(mac(2));
    expect(b.select(mac(2), '10.0.2.15')).toBe('NAK');
    expect(b.select(mac(2), '192.168.0.5')).toBe('NAK');
    for (const own of ['10.0.2.0', '10.0.2.2', '10.0.2.3', '10.0.2.4', '10.0.2.255']) {
      expect(b.select(mac(3), own)).toBe('NAK');
    }
    expect(b.table).toEqual(['10.0.2.15']);
  });

  test("SELECTING: another server's id gets silence, and the offer is withdrawn", () => {
    const b = new DhcpBench();
    expect(b.offer(mac(1))).toBe('10.0.2.15');
    const other = buildRequest(mac(1), { requested: word('10.0.2.15'), serverId: word('10.0.2.9') });
    expect(b.send(other)).toBe(Drop.DhcpNotForUs);
    expect(b.ports.sent.length).toBe(1);
    expect(b.offer(mac(2))).toBe('10.0.2.15');
  });

  test("another server's id does not end a lease in force", () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    b.send(buildRequest(mac(1), { requested: word('10.0.2.15'), serverId: word('10.0.2.9') }));
    expect(b.table).toEqual(['10.0.2.15']);
  });

  test('SELECTING: an offer that has lapsed is still good while nobody has the address', () => {
    const b = new DhcpBench();
    b.offer(mac(1));
    b.ports.clock.advance(OFFER_MS + 1);
    expect(b.select(mac(1), '10.0.2.15')).toBe('10.0.2.15');
    b.offer(mac(2));
    b.ports.clock.advance(OFFER_MS + 1);
    b.lease(mac(3));
    expect(b.select(mac(2), '10.0.2.16')).toBe('NAK');
  });

  test('INIT-REBOOT: its own address is acknowledged, another one refused', () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    expect(b.reboot(mac(1), '10.0.2.15')).toBe('10.0.2.15');
    expect(b.reboot(mac(1), '10.0.2.16')).toBe('NAK');
    expect(b.reboot(mac(2), '10.0.2.15')).toBe('NAK');
    expect(b.reboot(mac(2), '192.168.1.1')).toBe('NAK');
  });

  test('INIT-REBOOT and RENEWING of a client that a restarted server does not know: a free address is its own', () => {
    const b = new DhcpBench();
    expect(b.reboot(mac(1), '10.0.2.20')).toBe('10.0.2.20');
    expect(b.renew(mac(2), '10.0.2.21')).toBe('10.0.2.21');
    expect(b.table).toEqual(['10.0.2.20', '10.0.2.21']);
  });

  test('RENEWING and REBINDING: the lease is extended; what is not its own is refused', () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    b.lease(mac(2));
    b.ports.clock.advance(DAY - 1000);
    expect(b.renew(mac(1), '10.0.2.15')).toBe('10.0.2.15');
    expect(b.renew(mac(1), '10.0.2.16')).toBe('NAK');
    b.ports.clock.advance(2000);
    expect(b.table).toEqual(['10.0.2.15']);
  });

  test('a REQUEST that names no address makes no sense', () => {
    expect(new DhcpBench().send(raw(MessageType.Request, {}))).toBe(Drop.DhcpMalformed);
  });
});

describe('RELEASE, DECLINE, INFORM', () => {
  test('RFC 2131 4.3.4: a released address is free, and remembered for its client', () => {
    const b = new DhcpBench({ dhcp: { first: '10.0.2.15', last: '10.0.2.17' } });
    b.lease(mac(1));
    b.lease(mac(2));
    expect(b.send(buildRelease(mac(1), word('10.0.2.15'), GATEWAY))).toBe(Drop.None);
    expect(b.table).toEqual(['10.0.2.16']);
    expect(b.lease(mac(3))).toBe('10.0.2.17');
    expect(b.lease(mac(1))).toBe('10.0.2.15');
    b.send(buildRelease(mac(1), word('10.0.2.15'), GATEWAY));
    expect(b.lease(mac(4))).toBe('10.0.2.15');
  });

  test("a client cannot release or decline another's address", () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    expect(b.send(buildRelease(mac(2), word('10.0.2.15'), GATEWAY))).toBe(Drop.DhcpNotForUs);
    expect(b.send(buildDecline(mac(2), word('10.0.2.15'), GATEWAY))).toBe(Drop.DhcpNotForUs);
    expect(b.send(buildRelease(mac(1), word('10.0.2.15'), word('10.0.2.9')))).toBe(Drop.DhcpNotForUs);
    expect(b.send(buildDecline(mac(1), word('10.0.2.15'), word('10.0.2.9')))).toBe(Drop.DhcpNotForUs);
    expect(b.table).toEqual(['10.0.2.15']);
    expect(b.send(raw(MessageType.Decline, {}))).toBe(Drop.DhcpMalformed);
  });

  test('RFC 2131 4.3.3: a declined address rests, also for who declined it', () => {
    const b = new DhcpBench({ dhcp: { first: '10.0.2.15', last: '10.0.2.16' } });
    b.lease(mac(1));
    expect(b.send(buildDecline(mac(1), word('10.0.2.15'), GATEWAY))).toBe(Drop.None);
    expect(b.lease(mac(1))).toBe('10.0.2.16');
    expect(b.offer(mac(2), '10.0.2.15')).toBeNull();
    b.ports.clock.advance(REST_MS);
    expect(b.offer(mac(2))).toBe('10.0.2.15');
  });

  test('a static address that was declined rests too, and its client gets one of the pool', () => {
    const b = new DhcpBench({ dhcp: { staticLeases: { '52:54:00:00:00:01': '10.0.2.5' } } });
    expect(b.lease(mac(1))).toBe('10.0.2.5');
    b.send(buildDecline(mac(1), word('10.0.2.5'), GATEWAY));
    expect(b.lease(mac(1))).toBe('10.0.2.15');
    b.ports.clock.advance(REST_MS);
    expect(b.lease(mac(1))).toBe('10.0.2.5');
  });

  test('RFC 2131 4.3.5: INFORM gets parameters to its own address, no address and no times', () => {
    const b = new DhcpBench();
    const answer = b.ask(buildInform(mac(1), word('10.0.2.40')), peer('10.0.2.40', 68))!;
    expect(answer.message).toMatchObject({ type: MessageType.Ack, yiaddr: 0, ciaddr: word('10.0.2.40') });
    expect(formatIp(answer.to.addr)).toBe('10.0.2.40');
    expect(readParameters(answer.message)).toMatchObject({
      routers: [GATEWAY],
      leaseSeconds: null,
      renewalSeconds: null,
      rebindingSeconds: null,
    });
    expect(b.table).toEqual([]);
  });

  test('INFORM without ciaddr is answered at its source address, without any address not at all', () => {
    const b = new DhcpBench();
    expect(formatIp(b.ask(raw(MessageType.Inform, {}), peer('10.0.2.41', 68))!.to.addr)).toBe('10.0.2.41');
    expect(b.send(raw(MessageType.Inform, {}))).toBe(Drop.DhcpMalformed);
  });
});

describe('BOOTP, RFC 951', () => {
  test('one request, one reply of 300 bytes, no option of DHCP, and the address is bound', () => {
    const b = new DhcpBench({ dhcp: { bootfile: 'kernel', domainSearch: ['a.example'] } });
    const { message, bytes } = b.ask(raw(MessageType.None, {}))!;
    expect(bytes.length).toBe(300);
    expect(message).toMatchObject({
      op: 2,
      type: MessageType.None,
      yiaddr: word('10.0.2.15'),
      file: 'kernel',
    });
    expect([...message.options.keys()]).toEqual([1, 3, 6, 26, 67, 119]);
    expect(b.table).toEqual(['10.0.2.15']);
    expect(b.events).toEqual(['52:54:00:00:00:01 10.0.2.15']);
  });

  test('a client that knows its address gets none', () => {
    const b = new DhcpBench();
    const answer = b.ask(raw(MessageType.None, { ciaddr: word('10.0.2.30') }))!;
    expect(answer.message.yiaddr).toBe(0);
    expect(formatIp(answer.to.addr)).toBe('10.0.2.30');
    expect(b.table).toEqual([]);
  });
});

describe('what makes no sense', () => {
  test.each([
    ['a reply', raw(MessageType.Ack, { op: 2 }), Drop.DhcpMalformed],
    ['an OFFER to the server', raw(MessageType.Offer, {}), Drop.DhcpMalformed],
    ['a group MAC', raw(MessageType.Discover, { chaddr: { hi: 0x0100, lo: 1 } }), Drop.DhcpMalformed],
    ['no MAC', raw(MessageType.Discover, { chaddr: { hi: 0, lo: 0 } }), Drop.DhcpMalformed],
    ['a huge client id', raw(MessageType.Discover, {}, [[61, new Uint8Array(256)]]), Drop.DhcpMalformed],
    ['a type nobody knows', raw(13, {}), Drop.DhcpNotForUs],
    ['nothing', new Uint8Array(0), Drop.DhcpMalformed],
  ])('%s is dropped under its name', (_, bytes, drop) => {
    const b = new DhcpBench();
    expect(b.send(bytes)).toBe(drop);
    expect(b.ports.sent).toEqual([]);
  });
});
