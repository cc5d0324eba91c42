// A PC in v86 with a network, in Node: it gets its address by DHCP, fetches a page from this computer, and this computer
// fetches one from it. In a project of your own the imports are 'usernet/node' and 'usernet/v86'.
//
// The machine is Debian's 686 kernel with busybox, as tools/v86/build.ts makes it; any V86 with a network card will do.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createNetwork } from '../../src/node.ts';
import { attachV86 } from '../../src/v86.ts';
import { agentPort, newMachine, restoredState, whenReady } from '../v86/machine.ts';
import { FOLDER } from '../v86/settings.ts';

const card = process.argv[2] === 'ne2k' ? 'ne2k' : 'virtio';
const machine = newMachine(FOLDER, card, { state: restoredState(FOLDER, card) });
await whenReady(machine);

const network = createNetwork({ forwards: [{ proto: 'tcp', host: '127.0.0.1:0', guest: '80' }] });
network.on('lease', ({ mac, address }) => console.log(`${mac} has ${address}`));
const [forward] = await network.start();
attachV86(network, machine);
await machine.run();

// What the guest does: the lines go to its agent, over a serial port.
const page = createServer((_, response) => response.end('hello from the host\n')).listen(0, '127.0.0.1');
await once(page, 'listening');
const port = agentPort(machine);
const url = `http://10.0.2.2:${(page.address() as AddressInfo).port}/`;
const script = `lease >/dev/null && mkdir -p /www && echo hello from the guest >/www/index.html && httpd -h /www && wget -q -O - ${url}`;
port.write(`1 ${Buffer.from(script).toString('base64')}\n`);
let answer = '';
for await (const bytes of port) {
  answer += `${bytes}`;
  if (answer.includes('\n')) break;
}
console.log(
  Buffer.from(answer.trim().split(' ')[2] ?? '', 'base64')
    .toString()
    .trim(),
);

// And what comes back through the forward.
const socket = connect(Number(forward!.host.split(':')[1]), '127.0.0.1');
socket.end('GET / HTTP/1.0\r\n\r\n');
let reply = '';
for await (const chunk of socket) reply += `${chunk}`;
console.log(reply.trim().split('\n').at(-1));

await network.close();
await machine.destroy();
page.close();
