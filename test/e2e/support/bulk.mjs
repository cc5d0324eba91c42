// One end of a bulk transfer, a process of its own so that it can live in a network namespace:
//   node bulk.mjs serve ADDRESS             listens, prints the port, serves one connection after the other
//   node bulk.mjs put|get HOST PORT BYTES   sends or asks for so many bytes
//   node bulk.mjs trip HOST PORT            connects to a port where nobody listens, a few times: prints the shortest
// Both ends of a transfer print a line of JSON: bytes, milliseconds from the first byte to the last, and a digest.

import { createCipheriv, createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';

const CHUNK = 65536;
const [mode, host, port, size] = process.argv.slice(2);

function report(bytes, ms, hash) {
  process.stdout.write(`${JSON.stringify({ bytes, ms: Math.round(ms), digest: hash.digest('hex') })}\n`);
}

/** Sends `bytes` that look random and are always the same, then FIN. Reports when the other side has closed, too. */
function send(socket, bytes) {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  const hash = createHash('sha256');
  const start = performance.now();
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const chunk = stream.update(Buffer.alloc(Math.min(CHUNK, left)));
      hash.update(chunk);
      left -= chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.removeListener('drain', more);
    socket.end();
  };
  socket.on('drain', more);
  socket.once('close', () => report(bytes, performance.now() - start, hash));
  more();
}

/** Takes what comes until FIN. */
function take(socket) {
  const hash = createHash('sha256');
  let bytes = 0;
  let start = 0;
  socket.on('data', (chunk) => {
    if (bytes === 0) start = performance.now();
    bytes += chunk.length;
    hash.update(chunk);
  });
  socket.once('end', () => {
    report(bytes, performance.now() - start, hash);
    socket.end();
  });
}

function onError(error) {
  process.stdout.write(`${JSON.stringify({ error: error.code ?? error.message })}\n`);
  process.exitCode = 1;
}

/** Milliseconds until a SYN is refused, which takes it there and the answer back. */
function refusal() {
  const start = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    socket.on('connect', () => socket.destroy(new Error('somebody listens')));
    socket.on('error', (error) => {
      if (error.code === 'ECONNREFUSED') resolve(performance.now() - start);
      else onError(error);
    });
  });
}

async function trip() {
  const trips = [];
  for (let i = 0; i < 5; i++) trips.push(await refusal());
  process.stdout.write(`trip ${Math.min(...trips)}\n`);
}

if (mode === 'trip') await trip();
else if (mode === 'serve') {
  // The first eight bytes say how much is wanted; zero: the client sends.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', onError);
    socket.once('readable', () => {
      const asked = socket.read(8);
      if (asked === null) return socket.destroy();
      const wanted = Number(asked.readBigUInt64BE());
      if (wanted === 0) return take(socket);
      socket.resume();
      send(socket, wanted);
    });
  });
  server.listen(0, host, () => process.stdout.write(`port ${server.address().port}\n`));
} else {
  const socket = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true }, () => {
    const head = Buffer.alloc(8);
    if (mode === 'get') head.writeBigUInt64BE(BigInt(size));
    socket.write(head);
    if (mode === 'put') {
      socket.resume();
      send(socket, Number(size));
    } else take(socket);
  });
  socket.on('error', onError);
}
