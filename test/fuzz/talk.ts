// The guest's side of one TCP connection, as it should be and as it should not. It goes by what the guest has seen
// (seen.ts), so that what it says next fits, or misses by as little as is wanted: only then is the engine's state looked
// at in earnest. Numbers of the engine are relative to its SYN, see ops.ts.

import type { Dice } from './dice.ts';
import type { Draft, Ends } from './draft.ts';
import type { Seen, SeenTable } from './seen.ts';

export const Bit = { Fin: 1, Syn: 2, Rst: 4, Psh: 8, Ack: 16, Urg: 32 } as const;

/** One segment in the making. */
interface Words {
  seq: number;
  /** Relative to the engine's SYN. */
  ack: number;
  flags: number;
  wnd: number;
  dataLen: number;
  sack: number[];
  /** Of the option list; null: the usual one. */
  options: number[] | null;
}

export class Talk {
  readonly guest: number;
  readonly ownPort: number;
  readonly remotePort: number;
  readonly ends: Ends;
  /** Opened by the engine: its SYN is answered. */
  readonly isPassive: boolean;
  /** Initial sequence number, next to send, and what was said in the SYN. */
  readonly iss: number;
  nxt: number;
  private readonly wndShift: number;
  private readonly stamps: boolean;
  private readonly sack: boolean;
  private readonly mss: number;
  private wnd = 65535;
  private finSent = false;
  /** The last acknowledgment number that was said. */
  private acked = 0;
  private tsVal: number;
  /** What of the engine's bytes is taken for lost, relative; until they come again. */
  private hole: { from: number; to: number; resends: number } | null = null;

  constructor(
    dice: Dice,
    guest: number,
    ownPort: number,
    remotePort: number,
    ends: Ends,
    isPassive: boolean,
  ) {
    this.guest = guest;
    this.ownPort = ownPort;
    this.remotePort = remotePort;
    this.ends = ends;
    this.isPassive = isPassive;
    this.iss = dice.chance(20) ? (-1 - dice.below(3000)) | 0 : dice.word();
    this.nxt = this.iss;
    this.wndShift = dice.chance(75) ? dice.pick([0, 2, 7, 7, 8, 14]) : -1;
    this.stamps = dice.chance(60);
    this.sack = dice.chance(75);
    this.mss = dice.pick([0, 48, 536, 1400, 1460, 1460, 1460, 8960, 65535]);
    this.tsVal = dice.word();
  }

  seen(table: SeenTable): Seen | undefined {
    return table.find(this.guest, this.ownPort, this.remotePort);
  }

  /** Over, as far as the guest can tell. */
  isOver(table: SeenTable): boolean {
    const seen = this.seen(table);
    if (seen === undefined || !seen.syn) return false;
    return seen.rst || (seen.fin && this.finSent && seen.ack === this.nxt);
  }

  /** The SYN, or the SYN-ACK to the engine's. */
  opening(draft: Draft, dice: Dice, table: SeenTable): void {
    const flags = this.isPassive ? Bit.Syn | Bit.Ack : Bit.Syn;
    const words = this.words(table, flags);
    words.seq = this.iss;
    words.options = this.synOptions(dice);
    if (dice.chance(3)) words.flags |= Bit.Fin;
    if (dice.chance(3)) words.dataLen = dice.below(20);
    this.write(draft, dice, table, words);
    this.nxt = (this.iss + 1) | 0;
  }

  /** What an obedient guest says next. */
  next(draft: Draft, dice: Dice, table: SeenTable): void {
    const seen = this.seen(table);
    if (seen === undefined || !seen.syn || this.nxt === this.iss) {
      this.opening(draft, dice, table);
      return;
    }
    const words = this.words(table, Bit.Ack);
    const what = dice.below(100);
    const inFlight = (this.nxt - seen.ack) | 0;
    if (inFlight > 0 && what < 15) this.again(words, dice, seen, inFlight);
    else if (seen.fin && !this.finSent && what < 45) this.finish(words);
    else if (!this.finSent && what < 50) this.text(words, dice, seen, inFlight);
    else if (what >= 98 && !this.finSent && inFlight === 0) this.finish(words);
    this.write(draft, dice, table, words);
  }

  /** A share of what has come and was not acknowledged, 0..1, is: but for what is taken for lost. */
  acknowledge(draft: Draft, dice: Dice, table: SeenTable, share = 1): void {
    const words = this.words(table, Bit.Ack);
    const news = (words.ack - this.acked) | 0;
    if (news > 0) words.ack = (this.acked + Math.ceil(news * share)) | 0;
    this.write(draft, dice, table, words);
  }

  /** From here on a piece of what the engine has out counts as lost. */
  lose(dice: Dice, table: SeenTable): void {
    const seen = this.seen(table);
    if (seen === undefined || this.hole !== null) return;
    const out = (seen.max - seen.nxt) | 0;
    const from = (seen.nxt - seen.irs) | 0;
    const to = (from + dice.between(1, Math.max(1, out + 3000))) | 0;
    this.hole = { from: (from - dice.below(3) * 100) | 0, to, resends: seen.resends };
  }

  /** The lost piece is there now. */
  find(): void {
    this.hole = null;
  }

  setWindow(wnd: number): void {
    this.wnd = wnd;
  }

  /** What no obedient guest says, but close to it. */
  evil(draft: Draft, dice: Dice, table: SeenTable): void {
    const seen = this.seen(table);
    const words = this.words(table, Bit.Ack);
    const wnd = Math.max(1, seen?.wnd ?? 1);
    const max = seen === undefined ? 0 : (seen.max - seen.irs) | 0;
    const edges = [0, 1, -1, 2, -2, 100, 1460, -1460, wnd, wnd - 1, wnd + 1, 65535, -65536, 0x7fffffff];
    if (dice.chance(50)) this.wrongPlace(words, dice, dice.pick(edges));
    else this.wrongWords(words, dice, dice.pick(edges), max);
    this.write(draft, dice, table, words);
  }

  /** Something that is `edge` beside where it belongs, or elsewhere. */
  private wrongPlace(words: Words, dice: Dice, edge: number): void {
    const at = (words.seq + edge) | 0;
    switch (dice.below(9)) {
      case 0:
        words.seq = at;
        break;
      case 1:
        words.seq = at;
        words.dataLen = dice.pick([1, 2, 100, 1000, 1460]);
        break;
      case 2:
        words.flags = Bit.Rst | (dice.chance(50) ? Bit.Ack : 0);
        words.seq = dice.chance(30) ? words.seq : at;
        break;
      case 3:
        words.flags = Bit.Syn | (dice.chance(40) ? Bit.Ack : 0);
        words.seq = dice.pick([this.iss, words.seq, at, dice.word()]);
        words.options = this.synOptions(dice);
        break;
      case 4:
        words.flags |= Bit.Fin;
        words.seq = at;
        words.dataLen = dice.below(3) * 50;
        break;
      case 5:
        // Keep-alive.
        words.seq = (words.seq - 1) | 0;
        words.dataLen = dice.below(2);
        break;
      case 6:
        // Ahead of its turn, in small pieces.
        words.seq = (words.seq + dice.between(1, 60) * 2) | 0;
        words.dataLen = dice.between(1, 3);
        break;
      case 7:
        words.seq = (words.seq - dice.between(1, 5000)) | 0;
        words.dataLen = dice.between(1, 6000) % 1460;
        break;
      default:
        words.flags = Bit.Fin | Bit.Ack | Bit.Psh;
        words.dataLen = dice.between(0, 200);
        this.finSent = true;
        this.nxt = (this.nxt + words.dataLen + 1) | 0;
    }
  }

  /** A segment in its place that says something odd. `max`: end of what the engine has sent. */
  private wrongWords(words: Words, dice: Dice, edge: number, max: number): void {
    const { ack } = words;
    switch (dice.below(9)) {
      case 0:
        words.ack = (ack + edge) | 0;
        break;
      case 1:
        words.ack = dice.pick([0, 1, max, max + 1, max - 1, -1, ack - 70_000]);
        break;
      case 2:
        words.sack = this.sackLies(dice, ack, max);
        break;
      case 3:
        // A duplicate that is told of, once more.
        words.sack = [ack - dice.between(1, 3000), ack - dice.below(2), ...words.sack];
        break;
      case 4:
        words.wnd = dice.pick([0, 1, 2, 100, 65535, dice.edge(16)]);
        break;
      case 5:
        words.options = Array.from({ length: dice.below(40) }, () => dice.edge(8));
        break;
      case 6:
        words.flags |= Bit.Urg;
        words.dataLen = dice.below(2) * 40;
        break;
      case 7:
        words.flags = dice.word() & 255;
        break;
      default:
        this.tsVal = (this.tsVal - dice.pick([1, 100, 0x7fffffff])) | 0;
        words.dataLen = dice.below(2) * 10;
    }
  }

  private words(table: SeenTable, flags: number): Words {
    const seen = this.seen(table);
    let ack = seen === undefined ? 0 : (seen.nxt - seen.irs) | 0;
    const max = seen === undefined ? 0 : (seen.max - seen.irs) | 0;
    const sack: number[] = [];
    this.fillHole(seen);
    const { hole } = this;
    if (hole !== null && hole.from - ack <= 0) {
      ack = hole.from;
      if (this.sack && max - hole.to > 0) sack.push(hole.to, max);
    }
    return { seq: this.nxt, ack, flags, wnd: this.wnd, dataLen: 0, sack, options: null };
  }

  /** Has what was lost come again? */
  private fillHole(seen: Seen | undefined): void {
    const { hole } = this;
    if (hole === null || seen === undefined || seen.resends === hole.resends) return;
    const at = (seen.irs + hole.from) | 0;
    if (((seen.resentFrom - at) | 0) <= 0 && ((at - seen.resentTo) | 0) < 0) this.hole = null;
  }

  /** New text, as far as the window lets it. */
  private text(words: Words, dice: Dice, seen: Seen, inFlight: number): void {
    const room = Math.max(0, Math.min(seen.wnd - inFlight, 1400));
    words.dataLen = Math.min(room, dice.pick([1, 10, 100, 512, 1400]));
    words.flags |= Bit.Psh;
    this.nxt = (this.nxt + words.dataLen) | 0;
  }

  /** As much new text as fits a segment, whatever the window says. */
  push(draft: Draft, dice: Dice, table: SeenTable): void {
    const words = this.words(table, Bit.Ack);
    words.dataLen = dice.pick([1400, 1400, 1400, 1000, 7]);
    this.nxt = (this.nxt + words.dataLen) | 0;
    this.write(draft, dice, table, words);
  }

  /** Has the engine answered, and is there more to be said? */
  isOpen(table: SeenTable): boolean {
    const seen = this.seen(table);
    if (seen === undefined) return false;
    return seen.syn && !seen.rst && !this.finSent && seen.ack !== 0;
  }

  /** Bytes that the engine has room for. */
  room(table: SeenTable): number {
    const seen = this.seen(table);
    return seen === undefined ? 0 : Math.max(0, (seen.ack + seen.wnd - this.nxt) | 0);
  }

  /** What the engine has not acknowledged is sent again, all of it. */
  goBack(table: SeenTable): void {
    if (this.isOpen(table)) this.nxt = this.seen(table)!.ack;
  }

  private finish(words: Words): void {
    words.flags |= Bit.Fin;
    this.finSent = true;
    this.nxt = (this.nxt + 1) | 0;
  }

  /** One byte, `gap` beyond what is next: every second one makes a comb. */
  ahead(draft: Draft, dice: Dice, table: SeenTable, gap: number): void {
    const words = this.words(table, Bit.Ack);
    words.seq = (this.nxt + gap) | 0;
    words.dataLen = 1;
    this.write(draft, dice, table, words);
  }

  /** Text that was sent before. */
  private again(words: Words, dice: Dice, seen: Seen, inFlight: number): void {
    const back = dice.between(1, inFlight);
    words.seq = (seen.ack + (inFlight - back)) | 0;
    words.dataLen = Math.min(back, dice.pick([1, 100, 1400]));
  }

  private sackLies(dice: Dice, ack: number, max: number): number[] {
    const blocks: number[] = [];
    for (let i = dice.between(1, 4); i > 0; i--) {
      const left = ack + dice.between(-3000, Math.max(1, max - ack + 3000));
      blocks.push(left | 0, (left + dice.pick([0, 1, -1, 100, 1448, 1460, 2920, 14600])) | 0);
    }
    return blocks;
  }

  private synOptions(dice: Dice): number[] {
    const list: number[] = [];
    if (this.mss > 0) list.push(2, 4, this.mss >> 8, this.mss & 255);
    if (this.sack) list.push(4, 2);
    if (this.stamps) list.push(1, 1, 8, 10, ...word(this.tsVal), ...word(0));
    if (this.wndShift >= 0) list.push(1, 3, 3, dice.chance(3) ? dice.edge(8) : this.wndShift);
    if (dice.chance(2)) list.splice(dice.below(list.length + 1), 1, dice.edge(8));
    return list;
  }

  private write(draft: Draft, dice: Dice, table: SeenTable, words: Words): void {
    const seen = this.seen(table);
    const options = words.options ?? this.usualOptions(dice, seen, words);
    while (options.length % 4 !== 0) options.push(0);
    options.length = Math.min(options.length, 40);
    const header = 20 + options.length;
    const dataLen = Math.min(words.dataLen, 60_000);
    const at = draft.ipv4(this.ends, 6, header + dataLen, dice.below(65536));
    const { bytes } = draft;
    if (words.flags & Bit.Ack) this.acked = words.ack;
    bytes.writeUInt16BE(this.ownPort, at);
    bytes.writeUInt16BE(this.remotePort, at + 2);
    bytes.writeInt32BE(words.seq | 0, at + 4);
    bytes.writeInt32BE(words.flags & Bit.Ack ? words.ack | 0 : 0, at + 8);
    bytes[at + 12] = header << 2;
    bytes[at + 13] = words.flags;
    bytes.writeUInt16BE(words.wnd, at + 14);
    bytes.writeUInt32BE(0, at + 16);
    bytes.set(options, at + 20);
    this.fill(bytes, at + header, dataLen, words.seq);
    draft.isRebased = true;
  }

  private usualOptions(dice: Dice, seen: Seen | undefined, words: Words): number[] {
    const list: number[] = [];
    if (seen?.stamps && this.stamps && !dice.chance(1)) {
      this.tsVal = (this.tsVal + dice.below(4)) | 0;
      // The echo is relative to the latest: now and then of an earlier one.
      list.push(1, 1, 8, 10, ...word(this.tsVal), ...word(dice.chance(90) ? 0 : -dice.between(1, 3000)));
    }
    const blocks = Math.min(words.sack.length >> 1, list.length > 0 ? 3 : 4);
    if (blocks > 0) {
      list.push(1, 1, 5, 2 + 8 * blocks);
      for (let i = 0; i < 2 * blocks; i++) list.push(...word(words.sack[i]!));
    }
    return list;
  }

  /** To the name service: queries with their length before them. To others: anything. */
  private fill(bytes: Buffer, at: number, len: number, seq: number): void {
    if (this.remotePort !== 53) {
      bytes.fill(seq & 255, at, at + len);
      return;
    }
    for (let i = 0; i < len; i++)
      bytes[at + i] = DNS_STREAM[((seq + i - this.iss - 1) >>> 0) % DNS_STREAM.length]!;
  }
}

const QUERY = [18, 52, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 2, 98, 99, 0, 0, 1, 0, 1];
const DNS_STREAM = [0, QUERY.length, ...QUERY];

function word(value: number): number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}
