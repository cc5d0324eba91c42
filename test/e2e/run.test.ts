// A guest on `usernet run`: the whole of the main job, with a capture and statistics that are checked at the end.

import { Resolver } from 'node:dns/promises';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { echoReplies, expectCleanCapture, icmpFramesFrom, packets, refusalMs } from './support/capture.ts';
import { coreTests } from './support/core-tests.ts';
import { Guest } from './support/guest.ts';
import { bytes, type Digest, deferred, digest, digestOf, freePort, listen } from './support/host-servers.ts';
import { Lab, type Process, pause, showLogsOfFailures } from './support/processes.ts';
import { describeWithGuest } from './support/requirements.ts';
import { openInetSockets, procStatus, UsernetRun } from './support/usernet.ts';

const MAC = '52:54:00:12:34:56';
/** dnsmasq's, for names that nobody else has. */
const RECORDS = [
  ['--host-record=two.example,192.0.2.77,2001:db8::77'],
  ['--host-record=two.example,192.0.2.78'],
  ['--txt-record=text.example,as it stands'],
  ['--cname=alias.example,two.example'],
].flat();

const ABRUPT = 'all of it';

/** What the tests of this file share; made before the first. */
class Session {
  readonly lab = new Lab('run');
  readonly link = this.lab.path('net.sock');
  readonly pcap = this.lab.path('session.pcap');
  dnsPort = 0;
  forwardedPort = 0;
  /** Where the guest was refused. */
  refusedPort = 0;
  /** Whose connections said ABRUPT and were reset, as soon as they were accepted. */
  abruptPort = 0;
  usernet!: UsernetRun;
  guest!: Guest;

  async start(): Promise<void> {
    [this.dnsPort, this.forwardedPort] = [await freePort(), await freePort()];
    await startDnsmasq(this.lab, this.dnsPort);
    const hostfwd = `hostfwd=tcp:127.0.0.1:${this.forwardedPort}-:7`;
    const network = ['--net', `user,hostname=vm,domainname=lan.example,${hostfwd}`];
    const args = [...network, '--resolver', `127.0.0.1:${this.dnsPort}`, '--pcap', this.pcap];
    this.usernet = await UsernetRun.start(this.lab, { links: [this.link], args });
    await this.boot('first');
  }

  async boot(name: string): Promise<void> {
    const device = ['-device', `virtio-net-pci,netdev=net0,mac=${MAC}`];
    const network = ['-netdev', UsernetRun.netdev(this.link), ...device];
    this.guest = await Guest.boot(this.lab, { name, nic: 'virtio-net-pci', network });
  }
}

describeWithGuest('usernet run, virtio-net-pci', ['tcpdump', 'tshark', 'dnsmasq'], () => {
  let session: Session;
  beforeAll(async () => {
    session = new Session();
    await session.start();
  });
  afterAll(() => session?.lab.close());
  showLogsOfFailures(() => session?.lab);

  test('runs without privileges', () => {
    for (const { pid } of [session.usernet.process, session.guest.process]) {
      expect(procStatus(pid, 'CapEff')).toBe('0000000000000000');
      expect(procStatus(pid, 'NoNewPrivs')).toBe(process.getuid?.() === 0 ? '1' : expect.any(String));
      expect(procStatus(pid, 'Uid')).not.toMatch(/\b0\b/);
    }
  });

  test('says that the guest reaches the loopback of the host', () => {
    const line = "the guest can reach this host's loopback through 10.0.2.2";
    expect(session.usernet.process.stderr).toContain(line);
  });

  coreTests(() => session.guest, {
    transferMiB: 32,
    halfCloseMiB: 10,
    datagrams: [1, 1472, 4000, 65507],
    onRefused: (port) => {
      session.refusedPort = port;
    },
  });
  nameTests(() => session);
  endingTests(() => session);
  forwardTests(() => session);
  describe('when the guest is gone', () => {
    goneTests(() => session);
  });
});

function nameTests(session: () => Session): void {
  test('the configured names are in the lease', async () => {
    expect(await session().guest.lease()).toMatchObject({ hostname: 'vm', domain: 'lan.example' });
  });

  test('nslookup in the guest says what the name server on the host says', async () => {
    const { guest, dnsPort } = session();
    const direct = new Resolver();
    direct.setServers([`127.0.0.1:${dnsPort}`]);
    const expected = [...(await direct.resolve4('two.example')), ...(await direct.resolve6('two.example'))];
    expect(expected.sort()).toEqual(['192.0.2.77', '192.0.2.78', '2001:db8::77']);
    for (const name of ['two.example', 'alias.example']) {
      const output = await guest.run(`nslookup ${name} 10.0.2.3`);
      const answers = [...output.matchAll(/^Address: (\S+)$/gm)].map((match) => match[1]!);
      expect([...new Set(answers)].sort(), output).toEqual(expected);
    }
    const text = await direct.resolveTxt('text.example');
    expect(await guest.run('nslookup -type=txt text.example 10.0.2.3')).toContain(
      `"${text.flat().join('')}"`,
    );
    expect((await guest.sh('nslookup nothing.example 10.0.2.3')).output).toContain('NXDOMAIN');
  });
}

function forwardTests(session: () => Session): void {
  test('a forward leads to a server in the guest', async () => {
    const { guest, forwardedPort } = session();
    await guest.startEcho();
    const length = 1 << 20;
    const client = connect({ port: forwardedPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const block of bytes(length, 3)) client.write(block);
    client.end();
    expect(await digestOf(client)).toEqual({ digest: digest(length, 3), length });
  });

  test('a guest that was killed and booted again gets its lease again', async () => {
    const { usernet, guest: first, forwardedPort } = session();
    // Flows that its end must take along.
    const server = await listen(() => {});
    const hold = `socat -u TCP4:10.0.2.2:${server.port} - &`;
    await first.run(`${hold} ${hold} sleep 0.5`);
    expect((await usernet.stats()).flows.tcp).toBeGreaterThanOrEqual(2);
    await first.kill();
    await usernet.process.output(/: down/, 5000);
    server.close();
    await session().boot('second');
    expect(await session().guest.lease()).toMatchObject({ ip: '10.0.2.15' });
    expect((await usernet.stats()).leases).toMatchObject([{ mac: MAC, address: '10.0.2.15' }]);
    await session().guest.startEcho();
    const client = connect(forwardedPort, '127.0.0.1');
    client.end('still there');
    expect(await digestOf(client)).toMatchObject({ length: 11 });
  });
}

function goneTests(session: () => Session): void {
  test('no flow, no timer and no socket is left', async () => {
    const { guest, usernet } = session();
    await guest.powerOff();
    // What the guest had finished may drain to the host for a while.
    let stats = await usernet.stats();
    const end = performance.now() + 35_000;
    while (stats.flows.tcp + stats.flows.udp + stats.timers > 0 && performance.now() < end) {
      await pause(500);
      stats = await usernet.stats();
    }
    expect(stats).toMatchObject({ flows: { tcp: 0, udp: 0 }, timers: 0 });
    expect(openInetSockets(usernet.process.pid)).toEqual([]);
  });

  test('SIGTERM ends the program within a second, with statistics that agree with the capture', async () => {
    const { stats, code, tookMs } = await session().usernet.stop();
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(1000);
    expect(stats.drops['IcmpByDesign']).toBe(icmpFramesFrom(session().pcap, MAC));
    // Six echo requests at least.
    expect(stats.drops['IcmpByDesign']).toBeGreaterThanOrEqual(6);
  });

  test('the capture has no malformed packet and no bad checksum', () => {
    expectCleanCapture(session().pcap);
  });

  test('whoever was let in got the data, and the RST right behind it', () => {
    // A RST that is there before Node has looked is a failed connect to it: those guests were refused.
    const fields = ['tcp.stream', 'tcp.flags.syn', 'tcp.flags.reset', 'tcp.seq', 'tcp.len'];
    const segments = packets(session().pcap, `tcp src port ${session().abruptPort}`, fields);
    const streams = new Map<string, string>();
    for (const [stream, syn, reset, seq, len] of segments) {
      const what = syn === '1' ? 'open' : reset === '1' ? `reset at ${seq}` : `${len} at ${seq}`;
      streams.set(stream!, [streams.get(stream!), what].filter(Boolean).join(', '));
    }
    expect(streams.size).toBe(100);
    const expected = ['reset at 1', 'open, 9 at 1, reset at 10'];
    expect([...streams.values()].filter((said) => !expected.includes(said))).toEqual([]);
  });

  test('no ping was answered', () => {
    expect(echoReplies(session().pcap)).toEqual([]);
  });

  test('the refusal reached the guest within 50 ms', () => {
    expect(refusalMs(session().pcap, session().refusedPort)).toBeLessThan(50);
  });
}

/** How connections end. */
function endingTests(session: () => Session): void {
  test('a RST right behind data reaches the guest as data and then RST, 100 times', async () => {
    let connections = 0;
    const server = await listen((socket) => {
      // Lengths from one byte to several segments.
      const answer = Buffer.alloc(1 + connections++ * 81, 'x');
      socket.once('data', () => socket.write(answer, () => socket.resetAndDestroy()));
    });
    expect(await resets(session().guest, server.port, '-')).toEqual(
      Array.from({ length: 100 }, (_, i) => `${1 + i * 81} reset`),
    );
    server.close();
  });

  test('a RST right behind the first data is a RST or a refusal for the guest, never an end', async () => {
    const { guest } = session();
    const server = await listen((socket) => {
      socket.write(ABRUPT, () => socket.resetAndDestroy());
    });
    // What the program in the guest makes of it depends on when it looks; the capture is asked for the rest.
    const outcomes = await resets(guest, server.port, '-u');
    server.close();
    session().abruptPort = server.port;
    expect(outcomes.filter((outcome) => !/^(9 reset|0 reset|0 refused)$/.test(outcome))).toEqual([]);
  });

  test.for([3, 65_536, 1 << 20])(
    'both sides send %i bytes and close at once: nothing is lost',
    async (length) => {
      const rounds = 10;
      await session().guest.run(`head -c ${length} /dev/urandom >/tmp/mine`);
      const mine = await session().guest.run('md5sum </tmp/mine');
      const received: Promise<Digest>[] = [];
      const allThere = deferred<void>();
      const server = await listen((socket) => {
        for (const block of bytes(length, 4)) socket.write(block);
        socket.end();
        received.push(digestOf(socket));
        if (received.length === rounds) allThere.resolve();
      });
      const script = `
      for i in $(seq ${rounds}); do
        rm -f /tmp/theirs
        socat -t 30 OPEN:/tmp/mine,rdonly\\!\\!CREATE:/tmp/theirs TCP4:10.0.2.2:${server.port} || exit 1
        md5sum </tmp/theirs
      done`;
      const theirs = (await session().guest.run(script, 120_000)).split('\n');
      await allThere.promise;
      expect(theirs).toEqual(Array(rounds).fill(`${digest(length, 4)}  -`));
      const expected = { digest: mine.split(' ')[0], length };
      expect(await Promise.all(received)).toEqual(Array(rounds).fill(expected));
      server.close();
    },
  );
}

/** Connects 100 times, with `-u` to say nothing: how many bytes came and how it ended. */
async function resets(guest: Guest, port: number, from: '-' | '-u'): Promise<string[]> {
  const addresses = from === '-u' ? `-u TCP4:10.0.2.2:${port} -` : `- TCP4:10.0.2.2:${port}`;
  // Input without an end, so that the guest sends no FIN; with -d socat tells of a reset that it reads.
  const script = `
    mkfifo /tmp/endless
    exec 9<>/tmp/endless
    for i in $(seq 100); do
      echo request >&9
      n=$(socat -d -t 0.01 ${addresses} <&9 2>/tmp/complaint | wc -c)
      case $(cat /tmp/complaint) in
        *refused*) echo "$n refused" ;;
        *'reset by peer'* | *'Broken pipe'*) echo "$n reset" ;;
        *) echo "$n end $(cat /tmp/complaint)" ;;
      esac
    done
    exec 9>&-
    rm /tmp/endless`;
  return (await guest.run(script, 120_000)).split('\n');
}

async function startDnsmasq(lab: Lab, port: number): Promise<Process> {
  const files = ['--conf-file=/dev/null', '--pid-file=', '--no-resolv', '--no-hosts', '--keep-in-foreground'];
  const where = ['--log-facility=-', `--port=${port}`, '--listen-address=127.0.0.1', '--bind-interfaces'];
  const argv = ['dnsmasq', ...files, ...where, '--local=/example/', ...RECORDS];
  const dnsmasq = lab.spawn('dnsmasq', argv);
  await dnsmasq.output(/started/, 5000);
  return dnsmasq;
}
