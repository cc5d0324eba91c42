// What every guest must be able to do, whatever its NIC and however it is attached. Called inside a `describe`.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from './guest.ts';
import {
  byteStream,
  type Digest,
  deferred,
  digest,
  digestOf,
  freePort,
  listen,
  udpEcho,
} from './host-servers.ts';

export interface CoreOptions {
  readonly transferMiB: number;
  readonly halfCloseMiB: number;
  /** Lengths of the datagrams to be echoed. */
  readonly datagrams: readonly number[];
  /** Called with the port at which the guest was refused. */
  readonly onRefused?: (port: number) => void;
}

const GATEWAY = '10.0.2.2';

export function coreTests(guest: () => Guest, options: CoreOptions): void {
  leaseTests(guest);
  transferTests(guest, options.transferMiB << 20);
  connectionTests(guest, options);
  udpTests(guest, options.datagrams);
  icmpTests(guest);
}

function leaseTests(guest: () => Guest): void {
  test('RFC 2131, RFC 2132: the lease has every option', async () => {
    const lease = await guest().lease();
    expect(lease).toMatchObject({
      ip: '10.0.2.15',
      subnet: '255.255.255.0',
      router: GATEWAY,
      dns: '10.0.2.3',
      mtu: '1500',
      lease: '86400',
      serverid: GATEWAY,
    });
    // T1 and T2, half and seven eighths of the lease: udhcpc shows them as they came, in hexadecimal.
    expect(lease).toMatchObject({ opt58: '0000a8c0', opt59: '00012750' });
  });

  test('RFC 5227 2.1.1: arping -D finds no other owner of the leased address', async () => {
    const { status, output } = await guest().sh('arping -D -I eth0 -c 2 -w 3 10.0.2.15');
    expect({ status, output }).toMatchObject({ status: 0 });
  });
}

function transferTests(guest: () => Guest, length: number): void {
  const mib = length >> 20;

  test(`${mib} MiB over HTTP from the host arrive whole`, async () => {
    const server = createServer((_, response) => byteStream(length, 1).pipe(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const sum = await guest().run(`wget -q -O - http://${GATEWAY}:${port}/ | md5sum`, 170_000);
    server.close();
    expect(sum).toBe(`${digest(length, 1)}  -`);
  });

  test(`${mib} MiB to the host arrive whole`, async () => {
    const sum = await guest().run(`head -c ${length} /dev/urandom >/tmp/up; md5sum </tmp/up`);
    const received = deferred<Digest>();
    const server = await listen((socket) => {
      digestOf(socket).then(received.resolve, received.reject);
      socket.on('end', () => socket.end());
    });
    await guest().run(`socat -u OPEN:/tmp/up TCP4:${GATEWAY}:${server.port}`, 170_000);
    expect(await received.promise).toEqual({ digest: sum.split(' ')[0], length });
    server.close();
    await guest().run('rm /tmp/up');
  });
}

function connectionTests(guest: () => Guest, options: CoreOptions): void {
  test('100 connections at once', async () => {
    const held: (() => void)[] = [];
    const server = await listen((socket) => {
      socket.once('data', (line) => {
        held.push(() => socket.end(line));
        if (held.length === 100) for (const answer of held) answer();
      });
    });
    const script = `
      for i in $(seq 100); do
        (echo $i | nc ${GATEWAY} ${server.port} >/tmp/answer.$i) &
      done
      wait
      cat /tmp/answer.* | sort -n | tr '\\n' ' '
      rm /tmp/answer.*`;
    const answers = (await guest().run(script, 90_000)).split(' ').map(Number);
    server.close();
    expect(answers).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  test('a port that the host refuses is refused to the guest', async () => {
    const port = await freePort();
    const { status, output } = await guest().sh(`socat -u OPEN:/dev/null TCP4:${GATEWAY}:${port}`);
    expect({ status, output }).toEqual({ status: 1, output: expect.stringContaining('Connection refused') });
    options.onRefused?.(port);
  });

  describe('half-close', () => {
    const length = options.halfCloseMiB << 20;

    test('after the guest has ended, the host sends more and ends', async () => {
      let request = '';
      const server = await listen((socket) => {
        socket.setEncoding('latin1').on('data', (text: string) => {
          request += text;
        });
        socket.on('end', () => byteStream(length, 2).pipe(socket));
      });
      const sum = await guest().run(`echo request | socat -t 60 - TCP4:${GATEWAY}:${server.port} | md5sum`);
      server.close();
      expect({ request, sum }).toEqual({ request: 'request\n', sum: `${digest(length, 2)}  -` });
    });

    test('after the host has ended, the guest sends more and ends', async () => {
      const received = deferred<Digest>();
      const server = await listen((socket) => {
        socket.end('all of it\n');
        digestOf(socket).then(received.resolve, received.reject);
      });
      // Its standard input ends with the host's FIN; only then it sends.
      const script = `
        head -c ${length} /dev/urandom >/tmp/half
        printf '#!/bin/sh\\ncat >/tmp/first\\ncat /tmp/half\\n' >/tmp/answer.sh
        chmod +x /tmp/answer.sh
        socat -t 60 TCP4:${GATEWAY}:${server.port} EXEC:/tmp/answer.sh || exit 1
        cat /tmp/first
        md5sum </tmp/half
        rm /tmp/half /tmp/first`;
      const [first, sum] = (await guest().run(script)).split('\n');
      expect(first).toBe('all of it');
      expect(await received.promise).toEqual({ digest: sum?.split(' ')[0], length });
      server.close();
    });
  });
}

function udpTests(guest: () => Guest, lengths: readonly number[]): void {
  describe('UDP echo', () => {
    let echo: Awaited<ReturnType<typeof udpEcho>>;
    beforeAll(async () => {
      echo = await udpEcho();
    });
    afterAll(() => echo.close());

    test.for(lengths)('%i bytes', async (length) => {
      // Ends when the answer is there; a datagram that got lost is not sent again.
      const script = `
        head -c ${length} /dev/urandom >/tmp/sent
        socat -b 65536 -t 8 OPEN:/tmp/sent,rdonly\\!\\!CREATE:/tmp/echoed UDP4:${GATEWAY}:${echo.port} &
        for i in $(seq 100); do
          cmp -s /tmp/sent /tmp/echoed && break
          usleep 50000
        done
        kill $!
        cmp /tmp/sent /tmp/echoed || { wc -c /tmp/sent /tmp/echoed; exit 1; }`;
      const { status, output } = await guest().sh(script);
      expect({ status, output, atHost: echo.lengths.at(-1) }).toEqual({
        status: 0,
        output: '',
        atHost: length,
      });
    });
  });
}

function icmpTests(guest: () => Guest): void {
  test.for([GATEWAY, '192.0.2.1'])('a ping of %s gets no answer', async (address) => {
    const { status, output } = await guest().sh(`ping -c 3 -i 0.2 -W 1 ${address}`);
    expect({ status, output }).toEqual({
      status: 1,
      output: expect.stringContaining('3 packets transmitted, 0 packets received'),
    });
  });
}
