import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { TURN_WORK } from '../../src/base/turn.ts';
import type { Link } from '../../src/link/link.ts';
import { NodeClock } from '../../src/node/clock.ts';
import type { StreamLinkSpec } from '../../src/node/link-spec.ts';
import { dialQemu, type LinkNames, listenQemu, openQemuPort } from '../../src/node/qemu-port.ts';
import { QemuStreamLink } from '../../src/node/qemu-stream.ts';
import { newHost, pattern, RecordingSink, sameFrames, sendFrame } from '../support/link-bench.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'usernet-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A network of one switch port for each link: what they say is recorded. */
class Guests {
  readonly host = newHost(new NodeClock(), 16 << 20);
  readonly used = this.host.arena.used;
  readonly links: Link[] = [];
  readonly sinks: RecordingSink[] = [];
  private wake: (() => void)[] = [];

  readonly onLink = (link: Link): void => {
    const sink = new RecordingSink(this.host);
    sink.onEach = () => this.note();
    const { onLinkDown, onLinkWritable } = sink;
    sink.onLinkDown = (reason) => {
      onLinkDown.call(sink, reason);
      this.note();
    };
    sink.onLinkWritable = () => {
      onLinkWritable.call(sink);
      this.note();
    };
    link.attach(sink, this.host);
    this.links.push(link);
    this.sinks.push(sink);
    this.note();
  };

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.wake.push(resolve));
  }

  private note(): void {
    const { wake } = this;
    this.wake = [];
    for (const resolve of wake) resolve();
  }
}

/** QEMU's end of a stream: frames in and out. */
class FakeQemu {
  readonly socket: Socket;
  readonly frames: Buffer[] = [];
  private pending = Buffer.alloc(0);
  private wake: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.pending = Buffer.concat([this.pending, chunk]);
      while (this.pending.length >= 4 && this.pending.length >= 4 + this.pending.readUInt32BE()) {
        const len = this.pending.readUInt32BE();
        this.frames.push(this.pending.subarray(4, 4 + len));
        this.pending = this.pending.subarray(4 + len);
      }
      for (const resolve of this.wake.splice(0)) resolve();
    });
    cleanups.push(() => socket.destroy());
  }

  send(...frames: Buffer[]): void {
    for (const frame of frames) {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(frame.length);
      this.socket.write(prefix);
      this.socket.write(frame);
    }
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.wake.push(resolve));
  }
}

async function listen(spec: StreamLinkSpec, names?: LinkNames) {
  const guests = new Guests();
  const port = await listenQemu(spec, guests.onLink, names);
  cleanups.push(async () => {
    for (const link of guests.links) link.close();
    await port.close();
  });
  const dial = (): FakeQemu =>
    new FakeQemu(
      port.spec.kind === 'unix'
        ? connect({ path: port.spec.path })
        : connect({ host: port.spec.host, port: port.spec.port }),
    );
  return { guests, port, dial };
}

const places: [string, () => StreamLinkSpec][] = [
  ['a unix socket', () => ({ kind: 'unix', path: join(newFolder(), 'net.sock'), server: true })],
  ['TCP', () => ({ kind: 'tcp', host: '127.0.0.1', port: 0, server: true })],
];

for (const [name, newSpec] of places) {
  describe(`QEMU's stream over ${name}`, () => {
    test('frames of 0 to 65553 bytes, both ways, whole and in order', async () => {
      const { guests, dial } = await listen(newSpec());
      const qemu = dial();
      const frames = [0, 13, 14, 60, 1514, 4000, 65553].map((len) => pattern(len, len));
      qemu.send(...frames);
      await guests.until(() => guests.sinks[0]?.frames.length === frames.length);
      expect(sameFrames(guests.sinks[0]!.frames, frames)).toBe(true);
      for (const frame of frames) expect(sendFrame(guests.links[0]!, guests.host, frame)).toBe(true);
      await qemu.until(() => qemu.frames.length === frames.length);
      expect(sameFrames(qemu.frames, frames)).toBe(true);
    });

    test('several guests on one listener: qemu0, qemu1; one that ends gives back name and memory', async () => {
      const { guests, dial } = await listen(newSpec());
      const first = dial();
      await guests.until(() => guests.links.length === 1);
      const second = dial();
      await guests.until(() => guests.links.length === 2);
      expect(guests.links.map((link) => link.name)).toEqual(['qemu0', 'qemu1']);
      const used = guests.host.arena.used;
      first.socket.destroy();
      await guests.until(() => guests.sinks[0]!.down !== null);
      expect(guests.host.arena.used).toBe(guests.used + (used - guests.used) / 2);
      expect(sendFrame(guests.links[0]!, guests.host, pattern(1, 60))).toBe(false);
      second.send(pattern(2, 60));
      await guests.until(() => guests.sinks[1]!.frames.length === 1);
      dial();
      await guests.until(() => guests.links.length === 3);
      expect(guests.links[2]!.name).toBe('qemu0');
    });

    for (const len of [69633, 70000, 0xffffffff]) {
      test(`a length of ${len} ends this link, the others live`, async () => {
        const { guests, dial } = await listen(newSpec());
        const [bad, good] = [dial(), dial()];
        await guests.until(() => guests.links.length === 2);
        const prefix = Buffer.alloc(8);
        prefix.writeUInt32BE(len);
        bad.send(pattern(1, 60));
        bad.socket.write(prefix);
        await guests.until(() => guests.sinks.some((sink) => sink.down !== null));
        const down = guests.sinks.findIndex((sink) => sink.down !== null);
        expect(guests.sinks[down]!.down).toMatch(/69632/);
        expect(guests.sinks[down]!.frames.length).toBe(1);
        good.send(pattern(2, 60));
        await guests.until(() => guests.sinks[1 - down]!.frames.length === 1);
        expect(guests.sinks[1 - down]!.down).toBe(null);
      });
    }

    test('a guest that does not read: the queue is full at a megabyte, and there is room again when it does', async () => {
      const { guests, dial } = await listen(newSpec());
      const qemu = dial();
      await guests.until(() => guests.links.length === 1);
      qemu.socket.pause();
      const link = guests.links[0]!;
      let sent = 0;
      // Sends until the queue stays full: what the kernel takes, it takes at once.
      for (let idle = 0; idle < 20; ) {
        if (sendFrame(link, guests.host, pattern(sent, 1514))) {
          sent++;
          idle = 0;
        } else {
          idle++;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      const before = guests.sinks[0]!.writable;
      expect(guests.host.arena.used - guests.used).toBeLessThanOrEqual(6 * 262144);
      qemu.socket.resume();
      await guests.until(() => guests.sinks[0]!.writable > before);
      await qemu.until(() => qemu.frames.length === sent);
      expect(qemu.frames.every((frame, i) => frame.equals(pattern(i, 1514)))).toBe(true);
      expect(sendFrame(link, guests.host, pattern(1, 60))).toBe(true);
    });

    test('close() from our side: the sink hears it, the arena has everything back', async () => {
      const { guests, dial } = await listen(newSpec());
      const qemu = dial();
      await guests.until(() => guests.links.length === 1);
      qemu.socket.pause();
      const link = guests.links[0]!;
      for (let i = 0; i < 400; i++) sendFrame(link, guests.host, pattern(i, 1514));
      const closed = once(qemu.socket, 'close');
      link.close();
      link.close();
      qemu.socket.resume();
      await closed;
      while (guests.host.arena.used !== guests.used) await new Promise((resolve) => setImmediate(resolve));
      expect(guests.sinks[0]!.down).toBe('closed');
    });

    test('an arena without room: attach throws, and nothing is kept', async () => {
      const guests = new Guests();
      const small = newHost(new NodeClock(), 1 << 20);
      const failures: string[] = [];
      const port = await listenQemu(newSpec(), (link) => {
        try {
          link.attach(new RecordingSink(small), small);
        } catch (error) {
          failures.push((error as Error).message);
          link.close();
          guests.onLink(link);
        }
      });
      cleanups.push(() => port.close());
      const used = small.arena.used;
      const { spec } = port;
      const qemu = new FakeQemu(
        spec.kind === 'unix' ? connect({ path: spec.path }) : connect({ host: spec.host, port: spec.port }),
      );
      await once(qemu.socket, 'close');
      expect(failures.length).toBe(1);
      expect(failures[0]).toMatch(/no room/);
      expect(small.arena.used).toBe(used);
    });
  });
}

describe('a guest that sends more than a turn passes on', () => {
  const frames = Array.from({ length: 1000 }, (_, i) => pattern(i, 60 + (i % 7)));
  const bytes = Buffer.concat(
    frames.flatMap((frame) => {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(frame.length);
      return [prefix, frame];
    }),
  );

  /** A link over a pair of sockets, and the frames of each of its turns. */
  async function linkOf(canTakeOver: boolean) {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    const [socket] = (await accepted) as [Socket];
    const guests = new Guests();
    const link = new QemuStreamLink('qemu0', socket, canTakeOver, () => {});
    guests.onLink(link);
    const sink = guests.sinks[0]!;
    const perTurn: number[] = [];
    const { onEach } = sink;
    let turn = -1;
    sink.onEach = (frame) => {
      // The first frame of a turn finds no work done.
      if (guests.host.turn.work === 1) perTurn[++turn] = 0;
      perTurn[turn]!++;
      onEach(frame);
    };
    cleanups.push(() => {
      client.destroy();
      server.close();
      return link.close();
    });
    return { client, guests, sink, link, perTurn };
  }

  test.each([true, false])(
    'so many frames a turn, whole and in order (sockets taken over: %s)',
    async (takeOver) => {
      const { client, guests, sink, perTurn } = await linkOf(takeOver);
      client.write(bytes);
      await guests.until(() => sink.frames.length === frames.length);
      expect(sameFrames(sink.frames, frames)).toBe(true);
      expect(Math.max(...perTurn)).toBe(TURN_WORK);
      expect(perTurn.length).toBeGreaterThanOrEqual(frames.length / TURN_WORK);
    },
  );

  test.each([true, false])(
    'frames sent right before the end arrive all the same (taken over: %s)',
    async (takeOver) => {
      const { client, guests, sink } = await linkOf(takeOver);
      client.end(bytes);
      await guests.until(() => sink.down !== null);
      expect(sink.down).toBe('the other side closed the connection');
      expect(sameFrames(sink.frames, frames)).toBe(true);
    },
  );

  test.each([true, false])(
    'close() in between: nothing comes after it (taken over: %s)',
    async (takeOver) => {
      const { client, guests, sink, link } = await linkOf(takeOver);
      const used = guests.used;
      client.write(bytes);
      await guests.until(() => sink.frames.length >= TURN_WORK);
      await link.close();
      const n = sink.frames.length;
      expect(n).toBeLessThan(frames.length);
      await new Promise((resolve) => setImmediate(resolve));
      expect(sink.frames.length).toBe(n);
      expect(guests.host.arena.used).toBe(used);
    },
  );

  test('a length that is none behind frames that wait: they come, and the link ends', async () => {
    const { client, guests, sink } = await linkOf(true);
    client.write(Buffer.concat([bytes, Buffer.from('ffffffff00', 'hex')]));
    await guests.until(() => sink.down !== null);
    expect(sink.frames.length).toBe(frames.length);
    expect(sink.down).toContain('a frame of more than');
  });
});

describe("QEMU's stream without taking sockets over", () => {
  test('frames come and go all the same', async () => {
    const guests = new Guests();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      guests.onLink(new QemuStreamLink('qemu0', socket, false, () => {}));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const qemu = new FakeQemu(connect((server.address() as AddressInfo).port, '127.0.0.1'));
    const frames = Array.from({ length: 300 }, (_, i) => pattern(i, (i * 433) % 65000));
    qemu.send(...frames);
    await guests.until(() => guests.sinks[0]?.frames.length === frames.length);
    expect(sameFrames(guests.sinks[0]!.frames, frames)).toBe(true);
    sendFrame(guests.links[0]!, guests.host, pattern(9, 99));
    await qemu.until(() => qemu.frames.length === 1);
    guests.links[0]!.close();
    await once(qemu.socket, 'close');
  });
});

describe('the unix socket of a link', () => {
  test('mode 0600 whatever the umask, which is as it was; unlinked at close', async () => {
    const path = join(newFolder(), 'net.sock');
    const umask = process.umask(0);
    try {
      const { port } = await listen({ kind: 'unix', path, server: true });
      expect(lstatSync(path).mode & 0o777).toBe(0o600);
      expect(process.umask()).toBe(0);
      await port.close();
      expect(existsSync(path)).toBe(false);
    } finally {
      process.umask(umask);
    }
  });

  test('one that nobody listens on any more is replaced', async () => {
    const path = join(newFolder(), 'net.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(lstatSync(path).isSocket()).toBe(true);
    const { guests, dial } = await listen({ kind: 'unix', path, server: true });
    dial();
    await guests.until(() => guests.links.length === 1);
  });

  test('one that somebody listens on is left and refused', async () => {
    const path = join(newFolder(), 'net.sock');
    const { guests, dial } = await listen({ kind: 'unix', path, server: true });
    await expect(listenQemu({ kind: 'unix', path, server: true }, () => {})).rejects.toThrow(
      `${path}: somebody listens there already`,
    );
    dial();
    await guests.until(() => guests.links.filter((link) => link.name !== '').length >= 1);
    expect(lstatSync(path).isSocket()).toBe(true);
  });

  test('anything else at that path is left and refused: a file, a link to a file', async () => {
    const folder = newFolder();
    const [file, link] = [join(folder, 'file'), join(folder, 'link')];
    writeFileSync(file, 'precious');
    symlinkSync(file, link);
    for (const path of [file, link]) {
      const attempt = listenQemu({ kind: 'unix', path, server: true }, () => {});
      await expect(attempt).rejects.toThrow(`${path} exists and is not a socket`);
    }
    expect(readFileSync(file, 'utf8')).toBe('precious');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  });

  test('a folder that is not there: one line that names the path', async () => {
    const path = join(newFolder(), 'none', 'net.sock');
    await expect(listenQemu({ kind: 'unix', path, server: true }, () => {})).rejects.toThrow(
      /net\.sock: there is no folder/,
    );
  });
});

describe('connecting to a QEMU that listens', () => {
  async function fakeServer(
    path: string,
  ): Promise<{ server: Server; sockets: Socket[]; connected(n: number): Promise<void> }> {
    const sockets: Socket[] = [];
    let wake = (): void => {};
    const server = createServer((socket) => {
      socket.on('error', () => {});
      sockets.push(socket);
      wake();
    });
    server.listen(path);
    await once(server, 'listening');
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const connected = async (n: number): Promise<void> => {
      while (sockets.length < n)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    };
    return { server, sockets, connected };
  }

  test('frames both ways; what QEMU sends at once is not lost', async () => {
    const path = join(newFolder(), 'qemu.sock');
    const { server } = await fakeServer(path);
    const frames = Array.from({ length: 50 }, (_, i) => pattern(i, 1514));
    server.on('connection', (socket) => new FakeQemu(socket).send(...frames));
    const guests = new Guests();
    const port = await openQemuPort({ kind: 'unix', path, server: false }, guests.onLink);
    await guests.until(() => guests.sinks[0]?.frames.length === 50);
    expect(sameFrames(guests.sinks[0]!.frames, frames)).toBe(true);
    for (const link of guests.links) link.close();
    await port.close();
  });

  test('nobody listens: rejects with one line that names the place', async () => {
    const path = join(newFolder(), 'qemu.sock');
    await expect(dialQemu({ kind: 'unix', path, server: false }, () => {})).rejects.toThrow(
      new RegExp(`^unix:${path}: .*ENOENT`),
    );
  });

  test('reconnect=1: the first attempt may fail; QEMU ends and starts again, and has its name again', async () => {
    const path = join(newFolder(), 'qemu.sock');
    const guests = new Guests();
    const spec: StreamLinkSpec = { kind: 'unix', path, server: false, reconnectSeconds: 1 };
    const port = await dialQemu(spec, guests.onLink);
    expect(guests.links.length).toBe(0);
    const { sockets } = await fakeServer(path);
    await guests.until(() => guests.links.length === 1);
    sockets[0]!.destroy();
    await guests.until(() => guests.sinks[0]!.down !== null);
    await guests.until(() => guests.links.length === 2);
    expect(guests.links.map((link) => link.name)).toEqual(['qemu0', 'qemu0']);
    await port.close();
    for (const link of guests.links) link.close();
  });
});

const qemu = 'qemu-system-x86_64';
const haveQemu = spawnSync(qemu, ['--version']).status === 0;

describe.skipIf(!haveQemu)("QEMU's own stream, its user network behind a hub as the guest", () => {
  /** Who has 10.0.2.2? Tell 10.0.2.15. */
  const request = Buffer.from(
    'ffffffffffff525400123456080600010800060400015254001234560a00020f0000000000000a000202',
    'hex',
  );

  test.each([true, false])(
    'we listen: %s; it is asked and answers, is killed and comes back',
    async (server) => {
      const path = join(newFolder(), 'net.sock');
      const guests = new Guests();
      const start = () => {
        const stream = `stream,id=s,server=${server ? 'off' : 'on'},addr.type=unix,addr.path=${path}`;
        const hubs = ['hubport,id=h1,hubid=0,netdev=u', 'hubport,id=h2,hubid=0,netdev=s'];
        const netdevs = ['user,id=u', stream, ...hubs].flatMap((option) => ['-netdev', option]);
        const args = ['-M', 'none', '-nodefaults', '-display', 'none', '-monitor', 'none', ...netdevs];
        const child = spawn(qemu, args, { stdio: 'ignore' });
        cleanups.push(() => child.kill('SIGKILL'));
        return child;
      };
      const spec: StreamLinkSpec = { kind: 'unix', path, server, reconnectSeconds: server ? 0 : 1 };
      const port = await openQemuPort(spec, guests.onLink);
      cleanups.push(() => port.close());
      for (let n = 1; n <= 2; n++) {
        const child = start();
        await guests.until(() => guests.links.length === n);
        const [link, sink] = [guests.links[n - 1]!, guests.sinks[n - 1]!];
        sendFrame(link, guests.host, request);
        await guests.until(() => sink.frames.length > 0);
        const reply = sink.frames[0]!;
        expect(reply.readUInt16BE(12)).toBe(0x0806);
        expect([...reply.subarray(28, 32)]).toEqual([10, 0, 2, 2]);
        child.kill('SIGKILL');
        await guests.until(() => sink.down !== null);
        // A QEMU that is killed leaves its socket; one that starts removes it.
      }
      expect(guests.host.arena.used).toBe(guests.used);
    },
  );
});
