// What the tests use of @mercuryworkshop/wisp-js, which has no types.

declare module '@mercuryworkshop/wisp-js/client' {
  interface ClientStream {
    onmessage: (data: Uint8Array) => void;
    onclose: (reason: number) => void;
    send(data: Uint8Array): void;
  }
  export const client: {
    ClientConnection: new (
      url: string,
      options: { wisp_version: number },
    ) => { onopen: () => void; close(): void; create_stream(host: string, port: number): ClientStream };
  };
}

declare module '@mercuryworkshop/wisp-js/server' {
  import type { IncomingMessage } from 'node:http';
  import type { Duplex } from 'node:stream';
  export const logging: { NONE: number; set_level(level: number): void };
  export const server: {
    options: object;
    routeRequest(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  };
}
