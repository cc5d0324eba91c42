// Plays a script against a target: our endpoint on a clock moved by hand (ours.ts), or Linux's over a TAP in real time
// (test/e2e/support/linux-target.ts). The player counts sequence numbers from the two SYNs, checks every byte of payload
// against the pattern that both applications write, and keeps a trace that a failure shows.

import { type Options, patternByte, type ReadSegment, type SegmentFields } from '../support/segment-bytes.ts';
import type { AppStep, OptionSpec, Script, SegmentSpec, Step, TargetName, Value } from './script.ts';

/** One segment that the endpoint sent, in absolute numbers, and when (ms). */
export interface Sent extends Omit<ReadSegment, 'from' | 'to'> {
  readonly at: number;
}

/** A segment for the endpoint, in absolute numbers; ports are the target's business. */
export type ForEndpoint = Omit<SegmentFields, 'from' | 'to'>;

/** An endpoint that a script can be played against. Times are ms on its own clock. */
export interface Target {
  readonly name: TargetName;
  /** How much earlier and later than planned an answer may come. */
  readonly early: number;
  readonly late: number;
  /** And by how much more a timer may be late, of the time that it runs: 0.125 where a timer wheel rounds up. */
  readonly lateShare: number;
  /** Silence after the last step that shows that it was the last, ms. */
  readonly quiet: number;
  now(): number;
  waitUntil(at: number): Promise<void>;
  inject(segment: ForEndpoint): void;
  /** The oldest segment not yet taken; null when there is none until `until`. */
  take(until: number): Promise<Sent | null>;
  /** Throws when the application cannot, or sees something else. Resolves when it is done. */
  app(step: AppStep): Promise<void>;
}

/** Runs the steps for this target, one after the other; throws at the first that does not hold. */
export async function play(script: Script, target: Target): Promise<void> {
  await new Player(script, target).run();
}

class Player {
  private readonly script: Script;
  private readonly target: Target;
  private readonly start: number;
  /** When the last step happened. */
  private base: number;
  /** The endpoint's initial sequence number, known from its SYN. */
  private iss: number | null = null;
  private readonly kept = new Map<string, number>();
  private readonly trace: string[] = [];

  constructor(script: Script, target: Target) {
    this.script = script;
    this.target = target;
    this.start = target.now();
    this.base = this.start;
  }

  async run(): Promise<void> {
    for (const step of this.script.steps) {
      if (step.only !== null && step.only !== this.target.name) continue;
      try {
        await this.step(step);
      } catch (error) {
        this.fail(step, (error as Error).message);
      }
    }
    const more = await this.target.take(this.target.now() + this.target.quiet);
    if (more !== null) this.fail(null, `after the last step came ${this.note(more)}`);
  }

  private fail(step: Step | null, why: string): never {
    const where = step === null ? '' : `:${step.line}`;
    const line = step === null ? '' : `\n  ${step.text}`;
    const trace = this.trace.map((each) => `    ${each}`).join('\n');
    throw new Error(
      `${this.script.name}${where} against ${this.target.name}: ${why}${line}\n  what went over the wire:\n${trace}`,
    );
  }

  private async step(step: Step): Promise<void> {
    const { action } = step;
    const at = this.base + step.after;
    if (action.kind === 'nothing') await this.expectNothing(at);
    else if (action.kind === 'expect') {
      const { early, late, lateShare } = this.target;
      const { after, tolerance } = step;
      const latest = at + late + lateShare * after + tolerance;
      await this.expect(action.segment, at - early - tolerance, latest);
    } else {
      await this.target.waitUntil(at);
      this.base = this.target.now();
      if (action.kind === 'inject') this.inject(action.segment);
      else if (action.kind === 'app') await this.target.app(action.app);
    }
  }

  private inject(spec: SegmentSpec): void {
    const { irs } = this.script.settings;
    const { flags, seq, len, options } = spec;
    const iss = this.iss ?? 0;
    const segment: ForEndpoint = {
      seq: (irs + seq) | 0,
      ack: spec.ack === null ? 0 : (iss + spec.ack) | 0,
      flags,
      wnd: spec.win?.[0] ?? 0,
      ...(spec.urgent === null ? {} : { urgent: spec.urgent }),
      data: Uint8Array.from({ length: len }, (_, i) => patternByte(seq - 1 + i)),
      options: this.optionsOf(options ?? {}, iss),
    };
    this.trace.push(`${this.time(this.base)} < ${describe(segment, irs, iss)}`);
    this.target.inject(segment);
  }

  private optionsOf(spec: OptionSpec, iss: number): Options {
    const { mss, windShift, sackPermitted, ts, sack } = spec;
    return {
      ...(mss === undefined ? {} : { mss: this.valueOf(mss) }),
      ...(windShift === undefined ? {} : { windShift: this.valueOf(windShift) }),
      ...(sackPermitted ? { sackPermitted } : {}),
      ...(ts === undefined ? {} : { ts: [this.valueOf(ts[0]), this.valueOf(ts[1])] as const }),
      ...(sack === undefined ? {} : { sack: sack.map(([l, r]) => [(iss + l) | 0, (iss + r) | 0] as const) }),
    };
  }

  private valueOf(value: Value): number {
    if (typeof value === 'number') return value;
    const kept = value === '*' ? undefined : this.kept.get(value.name);
    if (kept === undefined) throw new Error('a value that is not known yet');
    return kept;
  }

  private async expectNothing(until: number): Promise<void> {
    const sent = await this.target.take(until);
    if (sent !== null) throw new Error(`came ${this.note(sent)}`);
    this.base = until;
  }

  private async expect(spec: SegmentSpec, earliest: number, latest: number): Promise<void> {
    const sent = await this.target.take(latest);
    if (sent === null) throw new Error(`nothing came until ${this.time(latest)}`);
    const text = this.note(sent);
    const wrong = this.compare(spec, sent);
    if (wrong !== null) throw new Error(`${wrong}: came ${text}`);
    if (sent.at < earliest) throw new Error(`too early, at ${this.time(sent.at)}: ${text}`);
    if (sent.at > latest) throw new Error(`too late, at ${this.time(sent.at)}: ${text}`);
    this.base = sent.at;
  }

  /** What is wrong with `sent`, or null. */
  private compare(spec: SegmentSpec, sent: Sent): string | null {
    const { irs } = this.script.settings;
    const iss = this.iss ?? 0;
    const flags = (letters: string) =>
      [...letters].filter((letter) => letter !== 'P' || spec.flags.includes('P')).sort();
    if (flags(spec.flags).join('') !== flags(sent.flags).join('')) return 'other flags';
    const seq = (sent.seq - iss) | 0;
    if (seq !== spec.seq) return `sequence number ${seq}`;
    if (sent.data.length !== spec.len) return `${sent.data.length} bytes`;
    if (spec.ack !== null && ((sent.ack - irs) | 0) !== spec.ack) return `ack ${(sent.ack - irs) | 0}`;
    if (spec.win !== null && (sent.wnd < spec.win[0] || sent.wnd > spec.win[1])) return `window ${sent.wnd}`;
    const wrong = sent.data.findIndex((byte, i) => byte !== patternByte(seq - 1 + i));
    if (wrong >= 0) return `byte ${wrong} is not what was written`;
    return this.compareOptions(spec.options, sent.options);
  }

  private compareOptions(spec: OptionSpec | null, options: Options): string | null {
    if (spec === null) return options.sack === undefined ? null : 'SACK blocks';
    const { irs } = this.script.settings;
    const has = (key: 'mss' | 'windShift' | 'ts' | 'sack' | 'sackPermitted') =>
      (spec[key] === undefined) === (options[key] === undefined);
    if (!has('mss') || !has('windShift') || !has('ts') || !has('sack') || !has('sackPermitted'))
      return 'other options';
    if (spec.mss !== undefined && !this.same(spec.mss, options.mss!)) return `mss ${options.mss}`;
    if (spec.windShift !== undefined && !this.same(spec.windShift, options.windShift!))
      return `wscale ${options.windShift}`;
    if (spec.ts !== undefined && !spec.ts.every((value, i) => this.same(value, options.ts![i]!)))
      return `timestamps ${options.ts!.join(' ')}`;
    const blocks = (options.sack ?? []).map(([l, r]) => `${(l - irs) | 0}:${(r - irs) | 0}`).join(' ');
    const wanted = (spec.sack ?? []).map(([l, r]) => `${l}:${r}`).join(' ');
    return blocks === wanted ? null : `SACK ${blocks}`;
  }

  private same(value: Value, actual: number): boolean {
    if (value === '*') return true;
    if (typeof value === 'number') return (value | 0) === (actual | 0);
    const kept = this.kept.get(value.name);
    if (kept === undefined) this.kept.set(value.name, actual);
    return kept === undefined || kept === actual;
  }

  /** Puts a segment of the endpoint into the trace; its SYN says where it counts from. */
  private note(sent: Sent): string {
    if (this.iss === null && sent.flags.includes('S')) this.iss = sent.seq;
    const text = describe(sent, this.script.settings.irs, this.iss ?? 0);
    this.trace.push(`${this.time(sent.at)} > ${text}`);
    return text;
  }

  private time(at: number): string {
    return ((at - this.start) / 1000).toFixed(3);
  }
}

/** In the words of a script. */
function describe(segment: ForEndpoint | Sent, irs: number, iss: number): string {
  const toEndpoint = !('at' in segment);
  const [own, theirs] = toEndpoint ? [irs, iss] : [iss, irs];
  const { flags, data, wnd, options } = segment;
  const seq = (segment.seq - own) | 0;
  const ack = flags.includes('A') ? ` ack ${(segment.ack - theirs) | 0}` : '';
  const parts: string[] = [];
  if (options.mss !== undefined) parts.push(`mss ${options.mss}`);
  if (options.sackPermitted) parts.push('sackOK');
  if (options.ts !== undefined) parts.push(`ts ${options.ts[0] >>> 0} ${options.ts[1] >>> 0}`);
  if (options.windShift !== undefined) parts.push(`wscale ${options.windShift}`);
  if (options.sack !== undefined)
    parts.push(`sack ${options.sack.map(([l, r]) => `${(l - theirs) | 0}:${(r - theirs) | 0}`).join(' ')}`);
  const list = parts.length > 0 ? ` <${parts.join(',')}>` : '';
  const letters = flags.replace('A', '') + (flags.includes('A') ? '.' : '');
  return `${letters} ${seq}:${seq + data.length}(${data.length})${ack} win ${wnd}${list}`;
}
