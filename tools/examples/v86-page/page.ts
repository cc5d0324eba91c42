// A PC in v86 and its network, both in this page: the engine takes the guest's frames from v86's card, and what it needs of
// the world comes over the relay whose URL is behind the # in the page's own. In a project of your own the imports are
// 'usernet' and 'usernet/v86'.

import { V86 } from 'v86';
import { createNetwork, dialWebSocket, RelayHost, WebClock } from '../../../src/index.ts';
import { attachV86 } from '../../../src/v86.ts';
import { machineSettings } from '../../v86/settings.ts';

const screen = document.getElementById('screen')!;
const log = document.getElementById('log')!;
const say = (line: string): void => log.append(`${line}\n`);

const host = new RelayHost({
  dial: dialWebSocket(location.hash.slice(1)),
  clock: new WebClock(),
  onState: (state, why) => say(`relay ${state}${why === '' ? '' : `: ${why}`}`),
});
const network = createNetwork({}, { host });
network.on('lease', ({ mac, address }) => say(`${mac} has ${address}`));
network.on('flow-open', ({ id, kind, guest, remote }) => say(`${kind} ${id}: ${guest} to ${remote}`));
network.on('flow-end', ({ id, kind, reason, bytesToGuest }) => {
  say(`${kind} ${id}: ${reason}, ${bytesToGuest} bytes to the guest, ${host.stats().streams} streams left`);
});
network.on('error', ({ message }) => say(message));

const machine = new V86({
  ...machineSettings('virtio'),
  wasm_path: 'v86.wasm',
  initial_state: { url: 'virtio.state' },
  screen: { container: screen },
});
attachV86(network, machine, { onError: ({ message }) => say(message) });
await new Promise<void>((resolve) => machine.add_listener('emulator-ready', resolve));
await machine.run();

/** Runs a script in the guest: its agent takes lines `ID SCRIPT` on a serial port, and answers `ID STATUS OUTPUT`. */
async function run(script: string): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    let line = '';
    const listen = (byte: number): void => {
      line += String.fromCharCode(byte);
      if (!line.endsWith('\n')) return;
      machine.remove_listener('serial1-output-byte', listen);
      resolve(line.trim());
    };
    machine.add_listener('serial1-output-byte', listen);
  });
  machine.serial_send_bytes(1, new TextEncoder().encode(`1 ${btoa(script)}\n`));
  const [, status, output = ''] = (await answer).split(' ');
  if (status !== '0') throw new Error(`${script}: status ${status}, ${atob(output)}`);
  return atob(output).trim();
}

/** The same, to be seen on the machine's screen. */
function show(command: string): Promise<string> {
  return run(`set -o pipefail; echo '/ # ${command}' >/dev/tty1; { ${command}; } 2>&1 | tee /dev/tty1`);
}

await run('clear >/dev/tty1');
await show('lease | grep -E "^(ip|router|dns)="');
await show(`wget -q -O /tmp/file http://10.0.2.2:${location.port}/vmlinuz`);
say(`the file: ${await show('md5sum /tmp/file')}`);
// From here on the keyboard is yours.
await run('setsid sh -c "exec sh <>/dev/tty1 >&0 2>&0" &');
