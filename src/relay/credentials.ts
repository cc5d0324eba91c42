// The password extension: who the client says it is. In the core there is no crypto.

import { utf8Bytes } from '../base/utf8.ts';
import { viewOf } from '../wire/bytes.ts';
import { type Extension, ExtensionId } from './wisp.ts';

/** A name and a password, as the protocol says them. */
export interface Credentials {
  /** At most 255 bytes of UTF-8. */
  readonly username: string;
  /** At most 65535 bytes of UTF-8. */
  readonly password: string;
}

/** What is wrong with them, or null. */
export function credentialsProblem({ username, password }: Credentials): string | null {
  if (!isWellFormed(username) || !isWellFormed(password)) return 'half a surrogate pair is no character';
  if (utf8Bytes(username).length > 0xff) return 'a username has at most 255 bytes';
  if (utf8Bytes(password).length > 0xffff) return 'a password has at most 65535 bytes';
  return username === '' || password === '' ? 'a name and a password are not empty' : null;
}

/** The client's extension. The credentials have no problem. */
export function credentialsExtension({ username, password }: Credentials): Extension {
  const name = utf8Bytes(username);
  const secret = utf8Bytes(password);
  const payload = new Uint8Array(3 + name.length + secret.length);
  const v = viewOf(payload);
  v.setUint8(0, name.length);
  v.setUint16(1, secret.length, true);
  payload.set(name, 3);
  payload.set(secret, 3 + name.length);
  return { id: ExtensionId.Password, payload };
}

/** Does the client's extension say these? In a time that does not depend on how much of it is right. */
export function saysCredentials(payload: Uint8Array, expected: Credentials): boolean {
  const right = credentialsExtension(expected).payload;
  let difference = payload.length ^ right.length;
  for (let i = 0; i < payload.length; i++) difference |= payload[i]! ^ right[i % right.length]!;
  return difference === 0;
}

function isWellFormed(text: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text);
}
