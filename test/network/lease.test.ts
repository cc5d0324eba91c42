import { describe, expect, test } from 'vitest';
import { formatIpv4Word, parseIpv4Word } from '../../src/base/addr.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';

const word = (text: string): number => parseIpv4Word(text)!;

describe('the embedded guest boots', () => {
  test('RFC 2131 3.1: DISCOVER, OFFER, REQUEST, ACK, and every option can be read', async () => {
    const bench = new NetworkBench({
      mtu: 1400,
      dhcp: {
        hostname: 'vm',
        domainName: 'example.test',
        domainSearch: ['a.test', 'b.test'],
        tftpServerName: 'boot',
        bootfile: 'pxe.0',
      },
    });
    const guest = bench.plug('guest0');
    const lease = await bench.lease(guest);
    expect(lease.text).toBe('10.0.2.15');
    expect(lease).toMatchObject({ mask: word('255.255.255.0'), router: word('10.0.2.2'), mtu: 1400 });
    expect(lease.parameters).toMatchObject({
      serverId: word('10.0.2.2'),
      dns: [word('10.0.2.3')],
      leaseSeconds: 86400,
      renewalSeconds: 43200,
      rebindingSeconds: 75600,
      hostname: 'vm',
      domainName: 'example.test',
      domainSearch: ['a.test', 'b.test'],
      tftpServerName: 'boot',
      bootfile: 'pxe.0',
    });
    expect(guest.output.mtu).toBe(1400);
    expect(bench.network.stats().leases).toHaveLength(1);
    expect(await bench.close()).toEqual({ flows: 0, timers: 0, arena: 0 });
  });

  test('RFC 5227: the address is probed, not answered by the gateway, and announced', async () => {
    const bench = new NetworkBench();
    await bench.boot();
    expect(bench.seen('who-has 10.0.2.15 tell 0.0.0.0')).toHaveLength(3);
    expect(bench.seen('who-has 10.0.2.15 tell 10.0.2.15')).toHaveLength(1);
    expect(bench.seen('10.0.2.15 is-at')).toEqual([]);
    expect(bench.network.stats().drops).toEqual({ ArpNotForUs: 4 });
    await bench.close();
  });

  test('RFC 2131 3.1 step 5: a taken address is declined, and another one asked for after ten seconds', async () => {
    const bench = new NetworkBench();
    const squatter = bench.plug('squatter');
    squatter.configure({ address: word('10.0.2.15'), mask: -256, router: word('10.0.2.2'), mtu: 1500 });
    const guest = bench.plug('guest0');
    const lease = await bench.lease(guest, 10_500);
    expect(lease.text).toBe('10.0.2.16');
    expect(bench.seen('Decline')).not.toEqual([]);
    await bench.close();
  });

  test('RFC 2131 4.1: DISCOVER again after 4, 8 and 16 s, give or take one; then whoever waits is told', async () => {
    const bench = new NetworkBench({ dhcp: false });
    const guest = bench.plug('guest0');
    const boot = guest.boot();
    boot.catch(() => {});
    const sentAt: number[] = [];
    while (bench.clock.now() < 65_000) {
      const before = bench.lines.length;
      bench.clock.advance(100);
      if (bench.lines.length > before) sentAt.push(bench.clock.now());
    }
    await expect(boot).rejects.toThrow('no DHCP server has answered');
    const waits = sentAt.slice(1).map((at, i) => at - sentAt[i]!);
    expect(waits).toHaveLength(3);
    for (const [i, wait] of waits.entries()) {
      expect(Math.abs(wait - 4000 * 2 ** i)).toBeLessThanOrEqual(1100);
    }
    expect(bench.network.stats().timers).toBe(0);
    await bench.close();
  });

  test('RFC 2131 4.4.5: the lease is renewed at T1 with its server, and the address stays', async () => {
    const bench = new NetworkBench({ dhcp: { leaseSeconds: 600 } });
    const guest = await bench.boot();
    bench.lines.length = 0;
    bench.clock.advance(299_000);
    expect(bench.lines).toEqual([]);
    bench.clock.advance(2000);
    expect(bench.seen('10.0.2.15.68 > 10.0.2.2.67')).toHaveLength(1);
    expect(bench.seen('10.0.2.2.67 > 10.0.2.15.68')).toHaveLength(1);
    bench.clock.advance(3_600_000);
    expect(formatIpv4Word(guest.config!.address)).toBe('10.0.2.15');
    expect(bench.network.stats().leases).toHaveLength(1);
    await bench.close();
  });

  test('RFC 2131 4.4.6: a released lease is free', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot();
    guest.release();
    bench.clock.advance(10);
    expect(bench.network.stats().leases).toEqual([]);
    expect(() => guest.openUdp({}).send(to('10.0.2.2', 7), new Uint8Array(1))).toThrow('has no address');
    await bench.close();
  });

  test('two guests get two addresses', async () => {
    const bench = new NetworkBench();
    const [a, b] = [await bench.boot('a'), await bench.boot('b')];
    expect([a.lease?.text, b.lease?.text]).toEqual(['10.0.2.15', '10.0.2.16']);
    await bench.close();
  });

  test('a guest with memory of its own boots as well, and leaves nothing', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot('alone', { alone: true });
    expect(guest.lease?.text).toBe('10.0.2.15');
    expect(await bench.close()).toEqual({ flows: 0, timers: 0, arena: 0 });
    expect(bench.clock.nextAlarm).toBe(Number.POSITIVE_INFINITY);
  });

  test('closed while it boots: the promise is rejected, and no timer is left', async () => {
    const bench = new NetworkBench({ dhcp: false });
    const guest = bench.plug('guest0');
    const boot = guest.boot();
    guest.close();
    await expect(boot).rejects.toThrow('the guest is closed');
    expect(await bench.close()).toEqual({ flows: 0, timers: 0, arena: 0 });
  });

  test('released while it boots: the promise is rejected, and a new boot gets a lease; one at a time', async () => {
    const bench = new NetworkBench();
    const guest = bench.plug('guest0');
    const boot = guest.boot();
    await expect(guest.boot()).rejects.toThrow('the guest is booting already');
    guest.release();
    await expect(boot).rejects.toThrow('the guest was released');
    expect((await bench.lease(guest)).text).toBe('10.0.2.15');
    await bench.close();
  });
});

describe('ARP', () => {
  test('RFC 826: the gateway and the name service are found, each under a MAC of its own', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot();
    const socket = guest.openUdp({});
    for (const address of ['10.0.2.2', '10.0.2.3']) socket.send(to(address, 9), new Uint8Array(1));
    bench.clock.advance(10);
    expect(guest.neighbours.get(word('10.0.2.2'))).toEqual({ hi: 0x5255, lo: word('10.0.2.2') });
    expect(guest.neighbours.get(word('10.0.2.3'))).toEqual({ hi: 0x5255, lo: word('10.0.2.3') });
    await bench.close();
  });

  test('an address of the network that nobody has: three questions in a second, then the connection ends', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot();
    const record = new SocketRecord();
    guest.connectTcp(to('10.0.2.77', 80), record);
    bench.clock.advance(990);
    expect(bench.seen('who-has 10.0.2.77')).toHaveLength(3);
    expect(record.events).toEqual([]);
    bench.clock.advance(20);
    expect(record.events).toEqual(['unreachable']);
    expect(bench.seen('who-has 10.0.2.77')).toHaveLength(3);
    await bench.close();
  });
});
