// Run as a program by test/node/exit.test.ts: uses every kind of socket that node/ opens, closes them, and must then end
// by itself although an alarm is still armed.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeClock } from '../../src/node/clock.ts';
import { NodeHost } from '../../src/node/host-sockets.ts';
import { listenQemu } from '../../src/node/qemu-port.ts';
import { at, DatagramRecord, StreamRecord, takeBlock } from './host-sink.ts';
import { newHost, RecordingSink } from './link-bench.ts';

const context = newHost(new NodeClock());
const host = new NodeHost();
host.start(context);
context.clock.setAlarm(3_600_000, () => {});

let accepted: StreamRecord | null = null;
const listener = await host.listenTcp(at('127.0.0.1', 0), (stream) => {
  accepted = new StreamRecord(context);
  accepted.stream = stream;
  return accepted;
});
const record = new StreamRecord(context);
record.stream = host.connectTcp(listener.at, record);
await record.until(() => record.events.includes('open'));
record.stream.resume();

const server = createSocket('udp4').bind(0, '127.0.0.1');
await once(server, 'listening');
const datagrams = host.openUdp(new DatagramRecord());
datagrams.send(takeBlock(context, 4096), 100, at('127.0.0.1', server.address().port));
await once(server, 'message');
await host.bindUdp(at('127.0.0.1', 0), new DatagramRecord());

const folder = mkdtempSync(join(tmpdir(), 'usernet-'));
const path = join(folder, 'net.sock');
let attached = (): void => {};
const linked = new Promise<void>((resolve) => {
  attached = resolve;
});
const port = await listenQemu({ kind: 'unix', path, server: true }, (link) => {
  link.attach(new RecordingSink(context), context);
  attached();
});
const guest = connect({ path });
await linked;
guest.destroy();

await Promise.all([host.close(), port.close()]);
server.close();
rmdirSync(folder);
process.stdout.write(`closed ${record.closed} ${(accepted as StreamRecord | null)?.closed}`);
