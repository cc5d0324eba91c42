// The language of the scripts in cases/. One file is one scenario: the script plays the remote end of a connection, a
// packet at a time, and says what the endpoint under test must answer and what its application sees. It has the manner of
// packetdrill, which is where to look for its like; the language is smaller and our own.
//
//   # RFC 5961 3.2: a reset inside the window is asked back     the first line: the rule and where it stands
//   set mtu 576                                                  before the first step; see Settings
//   established <mss 1460,sackOK> win 1000 rtt 0.1               the three segments of a handshake, and accept
//   +0.1 < P. 1:101(100) ack 1 win 1000 <ts 200 $a>              a segment for the endpoint
//   +0.2~0.01 > . 1:1(0) ack 101 win 900..1000 <ts $b 200>       the next one from it
//   +0.5 > nothing                                               and none until then
//   +0 app write 1000                                            the application at the endpoint, see AppStep
//   linux: +0.04 > . 1:1(0) ack 101   # differs: delayed ACK     a step for one target only, with the reason
//
// `+T` is in seconds from the step before, as it really happened, and `~T` how far off it may be. Sequence numbers are
// counted from each side's SYN. Flags are S F R P U E C and `.` for ACK; of an answer's PSH nothing is asked unless P is
// written. `1:4381(4380)/1460` stands for several segments. `win` is the field, unscaled. Of an answer's options: without
// <> no SACK block may be there and the rest is not looked at, with <> they are exactly these; `*` is any value, `$name`
// keeps a value where it stands first and is that value from then on.

/** A number, any number, or the one kept under a name. */
export type Value = number | '*' | { readonly name: string };

export interface OptionSpec {
  readonly mss?: Value;
  readonly windShift?: Value;
  readonly sackPermitted?: boolean;
  readonly ts?: readonly [Value, Value];
  readonly sack?: readonly (readonly [number, number])[];
}

export interface SegmentSpec {
  /** As in segment-bytes.ts: letters of S F R P U E C and A. */
  readonly flags: string;
  readonly seq: number;
  readonly len: number;
  readonly ack: number | null;
  /** Least and most of the window field. */
  readonly win: readonly [number, number] | null;
  readonly urgent: number | null;
  readonly options: OptionSpec | null;
}

/** What the application at the endpoint does or must see. */
export type AppStep =
  | { readonly op: 'accept' }
  | { readonly op: 'connect' }
  | { readonly op: 'shutdown' }
  | { readonly op: 'abort' }
  /** The end of file, after the last byte was read. */
  | { readonly op: 'eof' }
  | { readonly op: 'write'; readonly bytes: number }
  | { readonly op: 'read'; readonly bytes: number }
  /** The connection has failed so; 'none': it lives. */
  | { readonly op: 'error'; readonly name: string }
  /** RFC 9293 figure 5. */
  | { readonly op: 'state'; readonly name: string };

export type Action =
  | { readonly kind: 'inject'; readonly segment: SegmentSpec }
  | { readonly kind: 'expect'; readonly segment: SegmentSpec }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'app'; readonly app: AppStep };

export type TargetName = 'ours' | 'linux';

export interface Step {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly text: string;
  readonly only: TargetName | null;
  /** ms after the step before. */
  readonly after: number;
  readonly tolerance: number;
  readonly action: Action;
}

export interface Settings {
  /** The endpoint waits for a connection; else it connects itself, with the step `app connect`. */
  passive: boolean;
  /** The script's own initial sequence number. */
  irs: number;
  mtu: number;
  /** Bytes of the endpoint's receive buffer; 0: its default. */
  rcvbuf: number;
  /** Linux acknowledges every segment at once, as we do; off: it delays ACKs. */
  quickack: boolean;
  /** Linux's congestion control. */
  congestion: 'reno' | 'cubic';
}

export interface Script {
  readonly name: string;
  readonly title: string;
  readonly settings: Settings;
  readonly steps: readonly Step[];
}

const DEFAULTS: Settings = {
  passive: true,
  irs: 5000,
  mtu: 1500,
  rcvbuf: 0,
  quickack: true,
  congestion: 'reno',
};
const TITLE = /^# RFC \d+ (appendix )?[A-Z\d]+(\.\d+)*(,? .*)?: .+/;
const APP_OPS = ['accept', 'connect', 'shutdown', 'abort', 'eof', 'write', 'read', 'error', 'state'];

/** Reads the text of a script; throws with the line where it is wrong. */
export function parseScript(name: string, text: string): Script {
  const lines = text.split('\n');
  const settings = { ...DEFAULTS };
  const steps: Step[] = [];
  // A comment line `# differs: why` holds for what follows, up to the next line for both targets.
  let differs = false;
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim();
    const fail = (why: string): never => {
      throw new Error(`${name}:${i + 1}: ${why}: ${line}`);
    };
    if (i === 0 && !TITLE.test(line)) fail('the first line is `# RFC n section: rule`');
    if (line === '') continue;
    if (line.startsWith('#')) {
      differs ||= isReason(line);
      continue;
    }
    const [code, comment = ''] = split(line);
    try {
      if (code.startsWith('set ')) {
        if (steps.length > 0) throw new Error('settings come before the first step');
        set(settings, code.slice(4));
        continue;
      }
      const parsed = code.startsWith('established ') ? handshake(code, i + 1) : parseStep(code, i + 1);
      const isSpecial = parsed.some(({ only }) => only !== null);
      if (isSpecial && !differs && !isReason(comment)) throw new Error('without `# differs: reason`');
      if (!isSpecial) differs = false;
      steps.push(...parsed);
    } catch (error) {
      fail((error as Error).message);
    }
  }
  return { name, title: lines[0]!.slice(2), settings, steps };
}

function isReason(comment: string): boolean {
  return /^# differs: \S+ \S/.test(comment);
}

/** What is in front of a comment, and the comment. */
function split(line: string): [string, string?] {
  const at = line.indexOf('#');
  return at < 0 ? [line] : [line.slice(0, at).trim(), line.slice(at)];
}

function set(settings: Settings, text: string): void {
  const [key, value = ''] = text.split(/\s+/);
  if (key === 'irs' || key === 'mtu' || key === 'rcvbuf') settings[key] = integer(value);
  else if (key === 'active' && value === '') settings.passive = false;
  else if (key === 'quickack' && value === 'off') settings.quickack = false;
  else if (key === 'congestion' && (value === 'reno' || value === 'cubic')) settings.congestion = value;
  else throw new Error('no such setting');
}

/** `established <options> win N [rtt T]`: with timestamps, `$iss` is the endpoint's first one. */
function handshake(code: string, line: number): Step[] {
  const parts = /^established <(.*)> win (\d+)(?: rtt ([\d.]+))?$/.exec(code);
  if (parts === null) throw new Error('established <options> win N [rtt T]');
  const [, options = '', win, rtt = '0'] = parts;
  const answer = options
    .replace(/mss \d+/, 'mss *')
    .replace(/wscale \d+/, 'wscale *')
    .replace(/ts (\d+) 0/, 'ts $iss $1');
  const ts = /ts (\d+) 0/.exec(options);
  return [
    `+0 < S 0:0(0) win ${Math.min(65535, Number(win))} <${options}>`,
    `+0 > S. 0:0(0) ack 1 <${answer.includes('mss') ? answer : ['mss *', answer].filter(Boolean).join(',')}>`,
    `+${rtt} < . 1:1(0) ack 1 win ${win}${ts === null ? '' : ` <ts ${ts[1]} $iss>`}`,
    '+0 app accept',
  ].flatMap((step) => parseStep(step, line));
}

function parseStep(code: string, line: number): Step[] {
  const parts = /^(?:(ours|linux): *)?\+([\d.]+)(?:~([\d.]+))? +(?:([<>]) +|(app) +)(.+)$/.exec(code);
  if (parts === null) throw new Error('not a step');
  const [, only = null, after = '', tolerance = '0', arrow, app, rest = ''] = parts;
  const common = { line, text: code, only: only as TargetName | null, tolerance: ms(tolerance) };
  if (app !== undefined)
    return [{ ...common, after: ms(after), action: { kind: 'app', app: parseApp(rest) } }];
  if (arrow === '>' && rest === 'nothing')
    return [{ ...common, after: ms(after), action: { kind: 'nothing' } }];
  const kind = arrow === '<' ? 'inject' : 'expect';
  // The pieces of one line follow each other at once.
  return parseSegments(rest).map((segment, i) => ({
    ...common,
    after: i === 0 ? ms(after) : 0,
    action: { kind, segment },
  }));
}

function parseApp(text: string): AppStep {
  const [op = '', argument] = text.split(/\s+/);
  if (!APP_OPS.includes(op)) throw new Error('the application cannot do that');
  if (op === 'write' || op === 'read') return { op, bytes: integer(argument ?? '') };
  if (op === 'error' || op === 'state') {
    if (argument === undefined || !/^[A-Z\d-]+$|^none$/.test(argument)) throw new Error(`${op} what?`);
    return { op, name: argument };
  }
  if (argument !== undefined) throw new Error(`${op} takes nothing`);
  return { op } as AppStep;
}

const SEGMENT =
  /^([SFRPUEC.]+) (-?\d+):(-?\d+)\((\d+)\)(?:\/(\d+))?(?: ack (-?\d+))?(?: win (\d+)(?:\.\.(\d+))?)?(?: urg (\d+))?(?: <(.*)>)?$/;

function parseSegments(text: string): SegmentSpec[] {
  const parts = SEGMENT.exec(text);
  if (parts === null) throw new Error('not a segment');
  const [, flags = '', from, to, count, piece, ack, win, winMost, urgent, options] = parts;
  const seq = Number(from);
  const len = Number(count);
  if (Number(to) - seq !== len) throw new Error(`${from}:${to} is not ${len} bytes`);
  if (flags.includes('.') !== (ack !== undefined)) throw new Error('`.` and `ack` go together');
  const common = {
    flags: flags.replace('.', 'A'),
    ack: ack === undefined ? null : Number(ack),
    win: win === undefined ? null : ([Number(win), Number(winMost ?? win)] as const),
    urgent: urgent === undefined ? null : Number(urgent),
    options: options === undefined ? null : parseOptions(options),
  };
  const size = piece === undefined ? Math.max(1, len) : integer(piece);
  if (size === 0) throw new Error('pieces of nothing');
  if (len === 0) return [{ ...common, seq, len }];
  const all: SegmentSpec[] = [];
  for (let at = 0; at < len; at += size)
    all.push({ ...common, seq: seq + at, len: Math.min(size, len - at) });
  return all;
}

function parseOptions(text: string): OptionSpec {
  const spec: { -readonly [K in keyof OptionSpec]: OptionSpec[K] } = {};
  for (const option of text.split(',').filter((part) => part !== '')) {
    const [kind, ...values] = option.trim().split(/\s+/);
    if (kind === 'mss' && values.length === 1) spec.mss = parseValue(values[0]!);
    else if (kind === 'wscale' && values.length === 1) spec.windShift = parseValue(values[0]!);
    else if (kind === 'sackOK' && values.length === 0) spec.sackPermitted = true;
    else if (kind === 'ts' && values.length === 2) spec.ts = [parseValue(values[0]!), parseValue(values[1]!)];
    else if (kind === 'sack' && values.length > 0) spec.sack = values.map(parseBlock);
    else throw new Error(`not an option: ${option}`);
  }
  return spec;
}

function parseValue(text: string): Value {
  if (text === '*') return '*';
  return text.startsWith('$') ? { name: text.slice(1) } : integer(text);
}

function parseBlock(text: string): [number, number] {
  const parts = /^(-?\d+):(-?\d+)$/.exec(text);
  if (parts === null) throw new Error(`not a block: ${text}`);
  return [Number(parts[1]), Number(parts[2])];
}

function integer(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`not a number: ${text}`);
  return Number(text);
}

function ms(seconds: string): number {
  return Math.round(Number(seconds) * 1000);
}
