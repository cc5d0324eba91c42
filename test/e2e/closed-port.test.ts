// A connect to a port of this machine where nobody listens, but from which the kernel may let the connect itself go out: then
// the SYN meets itself and the connection opens (RFC 9293 3.5, simultaneous open). A guest must hear that it is refused.

import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { describeWithTap } from './support/requirements.ts';
import { ip } from './support/tap-guest.ts';

const TIMES = 40;
const LIMIT_MS = 60_000;
const PORTS = [30_000, 30_001];
const root = resolve(import.meta.dirname, '../..');

describeWithTap('a port that is closed', [], () => {
  test('is refused, also when the connection went out from it and met itself', () => {
    const ns = `c${process.pid}`;
    ip('netns', 'add', ns);
    try {
      const range = '/proc/sys/net/ipv4/ip_local_port_range';
      const guest = [process.execPath, 'tools/run.mjs', 'test/e2e/support/closed-port.ts'];
      const script = `ip link set lo up && echo ${PORTS.join(' ')} > ${range} && exec "$@"`;
      const argv = ['ip', 'netns', 'exec', ns, 'sh', '-c', script, 'sh', ...guest, `${PORTS[0]}`, `${TIMES}`];
      const { stdout } = spawnSync(argv[0]!, argv.slice(1), {
        cwd: root,
        encoding: 'utf8',
        timeout: LIMIT_MS,
      });
      expect(JSON.parse(stdout)).toEqual(Array.from({ length: TIMES }, () => 'refused'));
    } finally {
      ip('netns', 'del', ns);
    }
  });
});
