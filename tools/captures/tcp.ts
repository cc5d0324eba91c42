// Conversations over TCP, of programs on Linux's own network stack.

import type { Stage } from './engines.ts';
import { type Scene, tapScenes } from './scene.ts';
import { Port } from './servers.ts';
import { NOWHERE, WEB, type World } from './world.ts';

const GATEWAY = '10.0.2.2';

function gateway(port: number, options = ''): string {
  return `TCP4:${GATEWAY}:${port}${options}`;
}

/** `length` bytes of text on standard output. */
function text(length: number): string {
  return `yes 'a line that the guest says' | head -c ${length}`;
}

async function download({ guest }: Stage): Promise<void> {
  await guest.sh(`test $(curl -sS http://${GATEWAY}/40000 | wc -c) = 40000`);
  await guest.sh(`test $(busybox wget -q -O - http://${WEB}/10000 | wc -c) = 10000`);
}

async function upload({ guest }: Stage): Promise<void> {
  await guest.sh(`${text(60_000)} | curl -sS -T - http://${WEB}/ | grep -q '^60000 bytes'`);
}

async function keepAlive({ guest }: Stage): Promise<void> {
  const urls = [1, 300, 4000].map((size) => `http://${WEB}/${size}`).join(' ');
  await guest.sh(`test $(curl -sS ${urls} | wc -c) = 4301`);
}

async function refused({ guest }: Stage): Promise<void> {
  await guest.sh(`socat /dev/null ${gateway(Port.closed)} 2>&1 | grep -q refused`);
  await guest.sh(`socat /dev/null TCP4:${WEB}:${Port.closed} 2>&1 | grep -q refused`);
  await guest.sh(
    `socat /dev/null TCP4:${NOWHERE}:80,connect-timeout=3 2>&1 | grep -Eq 'refused|No route|unreach|timed'`,
  );
}

/** The guest ends its side first, then the other way round. */
async function halfClose({ guest }: Stage): Promise<void> {
  await guest.sh(`test $(${text(3000)} | socat -t 10 - ${gateway(Port.count)} | wc -c) = 20011`);
  await guest.sh(`(sleep 0.5; ${text(3000)}) | socat -t 10 - ${gateway(Port.daytime)} | grep -q UTC`);
}

async function resets({ guest }: Stage): Promise<void> {
  // Of the host, after data of the guest; after data of its own; at once.
  await guest.sh(`(echo hello; sleep 0.5) | socat -t 2 - ${gateway(Port.resetOnData)} || true`);
  await guest.sh(
    `(sleep 0.5; echo enough; sleep 0.5) | socat -t 2 - ${gateway(Port.resetAfterData)} | wc -c | grep -q 5000`,
  );
  await guest.sh(`sleep 0.5 | socat -t 2 - ${gateway(Port.resetAtOnce)} || true`);
  // Of the guest, in the middle of the conversation: what was not read is thrown away with the socket.
  await guest.sh(`(echo hello; sleep 0.5) | socat -t 0 - ${gateway(Port.echo, ',linger=0')} | grep -q hello`);
  const request = `(printf 'GET /60000 HTTP/1.0\\r\\n\\r\\n'; sleep 1)`;
  await guest.sh(`${request} | socat -t 0 - ${gateway(Port.http, ',rcvbuf=4096')} | head -c 1000 >/run/head`);
}

/** A client of the host comes in by a forward; the guest's port 2 is closed. */
async function forward({ guest }: Stage, world: World): Promise<void> {
  guest.spawn('socat', 'TCP4-LISTEN:22,fork', "SYSTEM:'echo SSH-2.0-guest; head -n 1'");
  await guest.sh('until ss -Hltn sport = 22 | grep -q .; do sleep 0.05; done');
  const client = world.spawn('client', ['sh', '-c', 'echo hello | socat -t 5 - TCP4:127.0.0.1:2222']);
  await client.output(/SSH-2.0-guest\s+hello/, 10_000);
  await client.exited;
  const other = world.spawn('client', ['sh', '-c', 'socat -t 5 /dev/null TCP4:127.0.0.1:2223; echo done']);
  await other.output(/done/, 10_000);
}

/** The guest does not read for a while: its window closes, is probed, and opens again. */
async function slowReader({ guest }: Stage): Promise<void> {
  await guest.sh(`printf 'GET /60000 HTTP/1.0\\r\\n\\r\\n' >/run/request`);
  await guest.sh(`socat -t 5 - ${gateway(Port.http, ',rcvbuf=4096')} </run/request | (sleep 3; cat) | wc -c`);
}

export const tcpScenes: readonly Scene[] = [
  ...tapScenes({
    name: 'http-download',
    guest: '`curl`, `busybox wget`',
    packages: ['curl', 'busybox-static'],
    shows: '40 000 bytes from 10.0.2.2, 10 000 from 192.0.2.80',
    play: download,
  }),
  ...tapScenes({
    name: 'http-upload',
    guest: '`curl -T -`',
    packages: ['curl'],
    shows: '60 000 bytes in chunks after a 100 Continue, to 192.0.2.80',
    play: upload,
  }),
  ...tapScenes({
    name: 'http-keep-alive',
    guest: '`curl`',
    packages: ['curl'],
    shows: 'three requests over one connection',
    play: keepAlive,
    format: 'nano',
  }),
  ...tapScenes({
    name: 'tcp-refused',
    guest: '`socat`',
    packages: ['socat'],
    shows: 'a closed port of 10.0.2.2, one of 192.0.2.80, and 203.0.113.1, to which the host has no route',
    play: refused,
  }),
  ...tapScenes({
    name: 'tcp-half-close',
    guest: '`socat`',
    packages: ['socat'],
    shows:
      'the guest ends its side, then 20 000 bytes come; the host ends its side, then the guest says 3000 bytes',
    play: halfClose,
  }),
  ...tapScenes({
    name: 'tcp-resets',
    guest: '`socat`',
    packages: ['socat'],
    shows:
      'resets of the host after the guest has spoken, after 5000 bytes of its own, at once; of the guest after an echo, and in the middle of a download',
    play: resets,
  }),
  ...tapScenes({
    name: 'tcp-forward',
    guest: '`socat` as server',
    packages: ['socat'],
    shows:
      'connections from outside to the guest: to port 22, where it listens, and to port 2, where nobody does',
    net: 'hostfwd=tcp:127.0.0.1:2222-10.0.2.15:22,hostfwd=tcp:127.0.0.1:2223-10.0.2.15:2',
    play: forward,
  }),
  ...tapScenes({
    name: 'tcp-slow-reader',
    guest: '`socat` with a receive buffer of 4096 bytes',
    packages: ['socat'],
    shows:
      '60 000 bytes for a guest that does not read for three seconds: its window closes, is probed, opens',
    play: slowReader,
  }),
];
