import { describe, expect, test } from 'vitest';
import { statsText } from '../../src/cli/stats-text.ts';
import type { FlowStats, TcpFlowStats } from '../../src/network/stats.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';
import { ACK, arp, DNS_MAC, FIN, PSH, SYN, type TcpFields, tcp, udp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

function only(bench: { network: { flows(): FlowStats[] } }): TcpFlowStats {
  const flows = bench.network.flows();
  expect(flows).toHaveLength(1);
  const flow = flows[0]!;
  if (flow.kind !== 'tcp') throw new Error('not a TCP flow');
  return flow;
}

describe('network.flows()', () => {
  test('a TCP flow: who, where, which state, what was moved, how long', () => {
    const bench = new RawBench();
    expect(bench.network.flows()).toEqual([]);
    bench.sends(tcp({ sport: 5000, seq: 1000, flags: SYN }));
    bench.clock.advance(30);
    expect(only(bench)).toMatchObject({
      ...{ id: 1, kind: 'tcp', guest: '10.0.2.15:5000', remote: '10.0.2.2:80' },
      ...{ state: 'connecting', bytesToHost: 0, bytesToGuest: 0, age: 30, idle: 30, rtt: null },
    });
    bench.host.stream.open();
    bench.clock.runSoon();
    expect(only(bench).state).toBe('SYN-RECEIVED');
    const ack = (bench.link.lastTcp.seq + 1) >>> 0;
    const said: TcpFields = { sport: 5000, seq: 1001, ack, flags: ACK };
    bench.clock.advance(20);
    bench.sends(tcp(said));
    bench.sends(tcp({ ...said, flags: ACK | PSH }, 'question'));
    bench.host.stream.gives('answer');
    bench.clock.runSoon();
    bench.clock.advance(5);
    expect(only(bench)).toMatchObject({
      ...{ state: 'ESTABLISHED', bytesToHost: 8, bytesToGuest: 6, age: 55, idle: 5, rtt: 20 },
      ...{ retransmits: 0, guestWindowClosed: false, hostPaused: false, ownWindowClosed: false },
      queues: { toHost: 0, unacked: 6, unsent: 0, spilled: 0 },
    });
    bench.sends(tcp({ ...said, seq: 1009, ack: ack + 6, flags: ACK | FIN }));
    expect(only(bench)).toMatchObject({ state: 'CLOSE-WAIT', idle: 0, queues: { unacked: 0 } });
    expect(structuredClone(only(bench))).toEqual(only(bench));
  });

  test('retransmits are counted for each flow', () => {
    const bench = new RawBench();
    const quiet = bench.connected(5000);
    const lossy = bench.connected(5001);
    bench.host.stream.gives('lost');
    bench.clock.runSoon();
    bench.clock.advance(5000);
    const byPort = new Map(bench.network.flows().map((flow) => [flow.guest, flow as TcpFlowStats]));
    expect(byPort.get(`10.0.2.15:${quiet.sport}`)!.retransmits).toBe(0);
    const { retransmits, queues } = byPort.get(`10.0.2.15:${lossy.sport}`)!;
    expect(retransmits).toBeGreaterThan(2);
    expect(queues.unacked).toBe(4);
    expect(bench.network.stats().tcp.retransmits).toBe(retransmits);
  });

  test.each([
    ['cubic', 0.7],
    ['newreno', 0.5],
  ] as const)('congestion: %s takes a loss for %f of what was out', (congestion, share) => {
    const bench = new RawBench({ congestion });
    bench.connected();
    bench.host.stream.gives(pattern(1, 10 * 1460));
    bench.clock.runSoon();
    const { queues } = only(bench);
    bench.clock.advance(2000);
    expect(bench.network.stats().tcp.timeouts).toBeGreaterThan(0);
    expect(only(bench).ssthresh).toBe(Math.floor(queues.unacked * share));
  });

  test('back-pressure: a guest whose window is closed pauses the host', () => {
    const bench = new RawBench({ limits: { flowBytes: 131_072 } });
    const { ack, ...said } = bench.connected();
    bench.sends(tcp({ ...said, ack: ack!, wnd: 0 }));
    bench.host.stream.gives(pattern(1, 300_000));
    for (let i = 0; i < 20; i++) bench.clock.runSoon();
    const flow = only(bench);
    expect(flow).toMatchObject({ guestWindowClosed: true, hostPaused: true, sndWnd: 0 });
    expect(flow.queues.unsent + flow.queues.spilled).toBe(flow.bytesToGuest);
    expect(flow.bytesToGuest).toBeGreaterThan(60_000);
    expect(flow.bytesToGuest).toBeLessThan(300_000);
  });

  test('back-pressure: a host that does not take more closes the window that the guest is told', () => {
    const bench = new RawBench({ limits: { flowBytes: 4096 } });
    const said = bench.connected();
    bench.host.stream.holdWrites = true;
    let seq = said.seq!;
    for (let i = 0; i < 4; i++, seq += 1024) bench.sends(tcp({ ...said, seq }, 'x'.repeat(1024)));
    expect(only(bench)).toMatchObject({ ownWindowClosed: true, rcvWnd: 0, bytesToHost: 0 });
    expect(only(bench).queues.toHost).toBe(4096);
    bench.host.stream.holdWrites = false;
    bench.host.stream.letGo();
    bench.clock.runSoon();
    expect(only(bench).ownWindowClosed).toBe(false);
  });

  test('a flow that only drains to the host', () => {
    const bench = new RawBench();
    const { ack, ...said } = bench.connected();
    bench.host.stream.holdWrites = true;
    bench.sends(tcp({ ...said, ack: ack!, flags: ACK | PSH | FIN }, 'late'));
    bench.host.stream.ends();
    bench.clock.runSoon();
    bench.sends(tcp({ ...said, seq: 1006, ack: ack! + 1, flags: ACK }));
    bench.clock.advance(20_000);
    expect(only(bench)).toMatchObject({ state: 'draining', queues: { toHost: 4 } });
  });

  test('what is not read because there is no connection yet is not back-pressure: a forward, a service', async () => {
    const bench = new RawBench({ forwards: [{ proto: 'tcp', host: '2222', guest: '22' }] });
    await bench.network.start();
    bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
    const client = bench.host.connects(to('127.0.0.1', 2222), to('192.0.2.9', 50_000))!;
    client.gives('SSH-2.0');
    bench.clock.advance(5);
    expect(client.reading).toBe(false);
    expect(only(bench)).toMatchObject({ state: 'SYN-SENT', bytesToGuest: 0, hostPaused: false });
    const asked = new RawBench();
    asked.sends(tcp({ sport: 5000, to: DNS_MAC, dst: '10.0.2.3', dport: 53, seq: 1000, flags: SYN }));
    expect(only(asked)).toMatchObject({ state: 'SYN-RECEIVED', hostPaused: false });
  });

  test('a UDP flow', () => {
    const bench = new RawBench();
    bench.sends(udp('abc', { sport: 4000, dport: 7 }));
    bench.sends(udp('de', { sport: 4000, dport: 8 }));
    bench.clock.advance(700);
    expect(bench.network.flows()).toEqual([
      {
        ...{ id: 1, kind: 'udp', guest: '10.0.2.15:4000', remote: '10.0.2.2:7' },
        ...{ bytesToHost: 5, bytesToGuest: 0, age: 700, idle: 700, remotes: 2 },
      },
    ]);
  });

  test('those with the most bytes first, as many as are asked for', () => {
    const bench = new RawBench();
    for (const [i, len] of [3, 500, 0, 500, 20].entries())
      bench.sends(udp('x'.repeat(len), { sport: 4000 + i, dport: 7 }));
    const ports = (most?: number): number[] =>
      bench.network.flows(most).map((flow) => Number(flow.guest.split(':')[1]));
    expect(ports()).toEqual([4001, 4003, 4004, 4000, 4002]);
    expect(ports(2)).toEqual([4001, 4003]);
    expect(ports(0)).toEqual([]);
  });

  test('both ends of a transfer agree, and nothing is left to tell when it is over', async () => {
    const bench = new NetworkBench();
    bench.keepLines = false;
    const guest = await bench.boot('guest0', { alone: true });
    const record = new SocketRecord();
    bench.host.onConnect = (stream) => stream.open();
    guest.connectTcp(to('10.0.2.2', 80), record);
    bench.clock.advance(10);
    record.write(pattern(1, 200_000));
    bench.host.stream.gives(pattern(2, 100_000));
    for (let i = 0; i < 500; i++) bench.clock.advance(5);
    expect(only(bench)).toMatchObject({
      ...{ bytesToHost: 200_000, bytesToGuest: 100_000 },
      queues: { toHost: 0, unacked: 0, unsent: 0, spilled: 0 },
    });
    const text = statsText('net', bench.network.stats(), bench.network.flows(20));
    expect(text).toMatch(
      /\n {2}flow {5}tcp 10\.0\.2\.15:\d+ to 10\.0\.2\.2:80 ESTABLISHED: 195\.3 KiB to the host, /,
    );
    await bench.close();
    expect(bench.network.flows()).toEqual([]);
  });
});
