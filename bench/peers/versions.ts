// Which version of everything was measured, with its date: "faster" is only ever "faster than that version".

import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { run } from './machine.ts';

/** What our package and the commit below the build say. */
export function usernetVersion(): string {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  try {
    const [commit, date] = run('git', ['log', '-1', '--format=%h %cs']).trim().split(' ');
    const isChanged = run('git', ['status', '--porcelain', 'src']).trim() !== '';
    return `${version} at commit ${commit} of ${date}${isChanged ? ', with changes' : ''}`;
  } catch {
    return version; // from a package, where there is no repository
  }
}

/** Versions and dates of Debian packages. */
export function packageVersion(...names: string[]): string {
  return names.map((name) => `${name} ${debianVersion(name)}`).join(' with ');
}

function debianVersion(name: string): string {
  try {
    const version = /^Version: (.*)$/m.exec(run('dpkg-query', ['-s', name]))?.[1] ?? 'of unknown version';
    return `${version}${packageDate(name)}`;
  } catch {
    return 'of unknown version';
  }
}

/** A version from git has its date in it; of others the package's last change says it. */
function packageDate(name: string): string {
  try {
    const log = gunzipSync(readFileSync(`/usr/share/doc/${name}/changelog.Debian.gz`)).toString();
    const date = /^ -- .*> {2}\w+, (.*\d{4}) /m.exec(log)?.[1];
    return date === undefined ? '' : ` of ${new Date(`${date} UTC`).toISOString().slice(0, 10)}`;
  } catch {
    return ''; // an image without documentation
  }
}

/** The machine, in the words of the tables. */
export function machine(): Record<string, string> {
  const of = (path: string): string => readFileSync(path, 'utf8').trim();
  return {
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    node: `Node ${process.version}`,
    congestion: `${of('/proc/sys/net/ipv4/tcp_congestion_control')} on both ends`,
  };
}
