// QEMU itself judges the rewritten commands: it is started with the guest stopped, and its monitor says which NICs and
// netdevs it made. The original command, with QEMU's own user networking, says what they should be.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planQemu } from '../../src/cli/qemu-command.ts';

const QEMU = 'qemu-system-x86_64';
const installed = ((): boolean => {
  try {
    return execFileSync(QEMU, ['--version'], { encoding: 'utf8' }).includes('QEMU');
  } catch {
    return false;
  }
})();

let folder = '';
const servers: Server[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'usernet-test-'));
  for (const i of [0, 1, 2]) {
    const server = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
    await new Promise<void>((resolve) => server.listen(join(folder, `${i}.sock`), resolve));
    servers.push(server);
  }
});

afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What QEMU prints for `info network`. Rejects when it does not start. */
function infoNetwork(argv: readonly string[]): Promise<string> {
  const [program = '', ...args] = argv;
  const child = spawn(program, ['-S', '-display', 'none', '-monitor', 'stdio', ...args]);
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (out += chunk));
  child.stdin.end('info network\nquit\n');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(out))));
  });
}

interface Found {
  /** Model and MAC of each NIC, sorted. */
  readonly nics: readonly string[];
  readonly streams: readonly string[];
  readonly users: readonly string[];
}

async function found(argv: readonly string[]): Promise<Found> {
  const text = await infoNetwork(argv);
  const all = (pattern: RegExp): string[] =>
    [...text.matchAll(pattern)].map((m) => m.slice(1).join(' ')).sort();
  return {
    nics: all(/type=nic,model=([\w-]+),macaddr=([\da-f:]+)/g),
    streams: all(/(\S+): index=\d+,type=stream/g),
    users: all(/(\S+): index=\d+,type=(user)/g),
  };
}

describe.skipIf(!installed)('QEMU takes the rewritten command and makes the NICs of the original', () => {
  test.each([
    ['-netdev user,id=n1 -device virtio-net-pci,netdev=n1', ['n1']],
    ['-netdev {"type":"user","id":"n1"} -device e1000,netdev=n1', ['n1']],
    ['-nic user', ['usernet0']],
    ['-nic user,model=virtio,mac=52:54:00:98:76:54', ['usernet0']],
    ['-nic user,id=n1,model=rtl8139', ['n1']],
    ['-net nic,model=ne2k_pci -net user', ['usernet0']],
    ['-net nic,model=e1000,macaddr=52:54:00:00:00:09 -net nic -net user,id=u', ['u']],
    ['', ['usernet0']],
    ['-M q35', ['usernet0']],
    ['-M isapc -cpu 486', ['usernet0']],
    ['-nic user,model=e1000 -nic user,model=virtio', ['usernet0', 'usernet1']],
    ['-nic user,model=virtio -nic socket,listen=127.0.0.1:0,model=e1000', ['usernet0']],
    ['-nic none', []],
    ['-nodefaults', []],
  ])('%s', async (command, ids) => {
    const original = [QEMU, ...(command === '' ? [] : command.split(' '))];
    const plan = planQemu(original, [], (i) => join(folder, `${i}.sock`));
    expect(plan.networks.map((n) => n.id)).toEqual(ids);
    const ours = await found(plan.argv);
    expect(ours.streams).toEqual(ids);
    expect(ours.users).toEqual([]);
    expect(ours.nics).toEqual((await found(original)).nics);
  });
});
