// Who may open a WebSocket of ours. A page from anywhere can have its browser connect to 127.0.0.1, and no same-origin
// policy stops it; so the request has to show three things before it becomes a WebSocket. Host is a name that only we
// have: a page whose own name was rebound to 127.0.0.1 still says that name. Origin, which no page can forge, is on the
// list; a program sends none. And the URL has the token, which a page cannot know: beside the path, as one more segment
// (`/relay/TOKEN/`, for clients whose URLs must end in a slash) or as `?token=TOKEN`.

import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parseIp } from '../base/addr.ts';

export interface UpgradeRules {
  /** Where the endpoint is: `/`, `/relay/`. Begins and ends with a slash. */
  readonly path: string;
  /** null: none is needed, because somebody has asked for that. */
  readonly token: string | null;
  /** Of pages that may connect, as browsers say them: `https://example.org`. `*`: of any. */
  readonly origins: readonly string[];
  /** Names that Host may have besides `localhost`, without a port. Addresses are no names and cannot be rebound. */
  readonly hosts: readonly string[];
}

/** What an upgrade is refused with: an HTTP status and a line that says why. */
export interface UpgradeRefusal {
  readonly status: 400 | 403 | 404;
  readonly reason: string;
}

/** null: it may become a WebSocket. Throws nothing, whatever the request says. */
export function refusalOf(
  request: Pick<IncomingMessage, 'url' | 'headers'>,
  rules: UpgradeRules,
): UpgradeRefusal | null {
  const { host, origin } = request.headers;
  if (host === undefined) return { status: 400, reason: 'a request names its Host' };
  if (!isOwnHost(host, rules.hosts)) return { status: 403, reason: 'this Host is not served here' };
  if (origin !== undefined && !rules.origins.includes('*') && !rules.origins.includes(origin))
    return { status: 403, reason: 'pages of this Origin may not connect' };
  return pathRefusal(request.url ?? '', rules);
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
