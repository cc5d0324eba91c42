// Who may open a WebSocket of ours. A page from anywhere can have its browser connect to 127.0.0.1, and no same-origin
// policy stops it; so the request has to show three things before it becomes a WebSocket. Host is a name that only we
// have: a page whose own name was rebound to 127.0.0.1 still says that name. Origin, which no page can forge, is on the
// list; a program sends none. And the URL has the token, which a page cannot know: beside the path, as one more segment
// (`/relay/TOKEN/`, for clients whose URLs must end in a slash) or as `?token=TOKEN`.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parseIp } from '../base/addr.ts';

export interface UpgradeRules {
  /** Where the endpoint is: `/`, `/relay/`. Begins and ends with a slash. */
  readonly path: string;
  /** null: none is needed, because somebody has asked for that. */
  readonly token: string | null;
  /**
   * Of pages that may connect, as browsers say them: `https://example.org`. `*`: of any. null: pages of this computer's own
   * servers, where there is a token.
   */
  readonly origins: readonly string[] | null;
  /** Names that Host may have besides `localhost`, without a port. Addresses are no names and cannot be rebound. */
  readonly hosts: readonly string[];
}

const OWN_ORIGIN = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
const TOKEN_BYTES = 16;
const LIST_LIMIT = 256;

/** 128 random bits. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** What a user says of who may come in. */
export interface DoorOptions {
  readonly token?: string | null;
  readonly origins?: readonly string[];
  readonly hosts?: readonly string[];
}

/**
 * The origins in the form in which browsers say them, or null. `isOpen`: whoever comes in shows no secret. Throws a RangeError
 * that names the option.
 */
export function checkDoor(options: DoorOptions, isOpen: boolean): readonly string[] | null {
  const { token, hosts = [], origins } = options;
  if (typeof token === 'string' && !/^[\w-]{16,128}$/.test(token))
    throw new RangeError('token= is not 16 to 128 letters, digits, - and _, and not none');
  for (const host of hosts) {
    if (!/^[\w.-]{1,253}$/.test(host)) throw new RangeError(`host=${host}: is no name without a port`);
  }
  if (Math.max(hosts.length, origins?.length ?? 0) > LIST_LIMIT)
    throw new RangeError(`more than ${LIST_LIMIT} of origin= or host=`);
  return origins?.map((origin) => normalOrigin(origin, isOpen)) ?? null;
}

/** RFC 6454 6.2: scheme, host, and the port where it is not the scheme's own. */
function normalOrigin(text: string, isOpen: boolean): string {
  if (text === '*' || text === 'null') {
    if (!isOpen) return text;
    throw new RangeError(`origin=${text} with token=none would let every page in`);
  }
  if (!/^[a-z][a-z\d+.-]*:\/\/[^/?#\s@]+\/?$/i.test(text) || !URL.canParse(text))
    throw new RangeError(`origin=${text}: is not like https://example.org, without a path`);
  const { origin } = new URL(text);
  return origin === 'null' ? text.toLowerCase().replace(/\/$/, '') : origin;
}

/** What an upgrade is refused with: an HTTP status and a line that says why. */
export interface UpgradeRefusal {
  readonly status: 400 | 403 | 404;
  readonly reason: string;
}

/** null: it may become a WebSocket. Throws nothing, whatever the request says. */
export function refusalOf(
  request: Pick<IncomingMessage, 'url' | 'headers' | 'headersDistinct'>,
  rules: UpgradeRules,
): UpgradeRefusal | null {
  const { host, origin } = request.headers;
  // Which of two a proxy or a browser meant, nobody knows.
  if ((request.headersDistinct['host'] ?? []).length > 1)
    return { status: 400, reason: 'a request names one Host' };
  if (host === undefined) return { status: 400, reason: 'a request names its Host' };
  if (!isOwnHost(host, rules.hosts)) return { status: 403, reason: 'this Host is not served here' };
  if (origin !== undefined && !isAdmitted(origin, rules))
    return { status: 403, reason: 'pages of this Origin may not connect' };
  return pathRefusal(request.url ?? '', rules);
}

function isAdmitted(origin: string, { origins, token }: UpgradeRules): boolean {
  if (origins === null) return token !== null && OWN_ORIGIN.test(origin);
  return origins.includes('*') || origins.includes(origin);
}

function pathRefusal(url: string, rules: UpgradeRules): UpgradeRefusal | null {
  const [path = '', query = ''] = url.split('?', 2);
  if (!path.startsWith(rules.path)) return { status: 404, reason: 'there is nothing here' };
  const behind = path.slice(rules.path.length).replace(/\/$/, '');
  const said = behind === '' ? (new URLSearchParams(query).get('token') ?? '') : behind;
  if (rules.token === null) return behind === '' ? null : { status: 404, reason: 'there is nothing here' };
  return sameText(said, rules.token) ? null : { status: 403, reason: 'the token is missing or wrong' };
}

function isOwnHost(host: string, names: readonly string[]): boolean {
  const name = host.toLowerCase().replace(/:\d*$/, '');
  if (name === 'localhost' || names.some((one) => one.toLowerCase() === name)) return true;
  return parseIp(name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name) !== null;
}

/** Are they the same? In a time that depends on their lengths alone. */
export function sameText(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  // Of different lengths: compared all the same, so that the time does not tell how long the secret is.
  return timingSafeEqual(a.length === b.length ? b : a, a) && a.length === b.length;
}
