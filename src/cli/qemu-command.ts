// A QEMU command line with user networking to the same with stream sockets, as text. Each -netdev user, -nic user and
// -net user, or QEMU's default when no network option is there, becomes a -netdev stream of the same id on a socket of
// ours, and keeps its NIC. Like QEMU's, each is a network of its own. Everything else stays as it is.
//
// -nic has no stream in QEMU 7.2, so its NIC is written as -net nic,netdev=ID: QEMU makes both the same way, the default
// model of the machine included. But it numbers all of -nic before all of -net nic. Where the command has others of
// these, which stay, ours must stay a -nic for the guest's eth0 to be the same: it is joined through a hub of its own.

import type { NetworkConfig } from '../network/config.ts';
import { ConfigError } from '../network/config.ts';
import { joinOptions, type QemuOption, splitOptions, userNet } from '../network/qemu-options.ts';
import { UsageError } from './args.ts';

export interface QemuPlan {
  /** The command to run instead. */
  readonly argv: readonly string[];
  readonly networks: readonly PlannedNetwork[];
  /** QEMU goes to the background: its exit is not the guest's end. */
  readonly daemonize: boolean;
}

export interface PlannedNetwork {
  /** The netdev's. */
  readonly id: string;
  /** Path of the unix socket that QEMU connects to. */
  readonly socket: string;
  readonly config: NetworkConfig;
  readonly notes: readonly string[];
}

/** The three options that say something about networks. */
type NetworkOption = 'netdev' | 'nic' | 'net';

/** A word of the command, or a network option with its value. */
interface Word {
  readonly text: string;
  readonly option: NetworkOption | null;
  readonly value: string;
}

/** QEMU's hub of -net nic and -net user. */
const LEGACY_HUB = 0;
/** Hubs of our own start here. */
const FIRST_HUB = 7000;
/** Machines without a NIC of their own. */
const NO_NIC: readonly string[] = ['none', 'microvm'];

/**
 * `command` is QEMU's, its name first. `base` are options for each network that give way to the command's own; the
 * forwards among them belong to the first network. Throws a UsageError that names the option of the command.
 */
export function planQemu(
  command: readonly string[],
  base: readonly QemuOption[],
  socketOf: (index: number) => string,
): QemuPlan {
  const words = readWords(command.slice(1));
  const rewriter = new Rewriter(words, base, socketOf);
  const argv = [command[0] ?? ''];
  for (const word of words) argv.push(...rewriter.rewrite(word));
  if (wantsDefault(words)) argv.push(...rewriter.nic('', []));
  return {
    argv,
    networks: rewriter.networks,
    daemonize: words.some((w) => bare(w.text) === 'daemonize'),
  };
}

class Rewriter {
  readonly networks: PlannedNetwork[] = [];
  private readonly ids: Set<string>;
  private readonly keepsNics: boolean;
  private readonly base: readonly QemuOption[];
  private readonly socketOf: (index: number) => string;

  constructor(words: readonly Word[], base: readonly QemuOption[], socketOf: (index: number) => string) {
    this.ids = new Set(words.flatMap((w) => valuesOf('id', optionsOf(w))));
    this.keepsNics = words.some(
      (w) => (w.option === 'nic' && staysNic(w)) || (w.option === 'net' && typeOf(w) === 'nic'),
    );
    this.base = base;
    this.socketOf = socketOf;
  }

  rewrite(word: Word): readonly string[] {
    const { option, text, value } = word;
    if (option === null) return [text];
    if (typeOf(word) !== 'user' || (option === 'nic' && staysNic(word))) return [text, value];
    const options = optionsOf(word).filter(([name]) => name !== 'type');
    const label = `${text} ${value}`;
    if (option === 'nic') return this.nic(label, options);
    const id = this.idOf(options);
    if (option === 'netdev') {
      if (valuesOf('id', options).length === 0) throw new UsageError(`${label}: id is missing`);
      return this.stream(label, id, options);
    }
    return [...this.stream(label, id, options), ...hubPort(LEGACY_HUB, id)];
  }

  /** A -nic user: the stream and its NIC. */
  nic(label: string, options: readonly QemuOption[]): readonly string[] {
    const id = this.idOf(options);
    const model = valuesOf('model', options).slice(-1);
    const mac = valuesOf('mac', options).slice(-1);
    const stream = this.stream(
      label,
      id,
      options.filter(([name]) => name !== 'model' && name !== 'mac'),
    );
    const modelOption = model.map((m): QemuOption => ['model', m]);
    if (this.keepsNics) {
      const hub = FIRST_HUB + this.networks.length - 1;
      const macOption = mac.map((m): QemuOption => ['mac', m]);
      const nic: QemuOption[] = [['type', 'hubport'], ['hubid', String(hub)], ...modelOption, ...macOption];
      return [...stream, ...hubPort(hub, id), '-nic', joinOptions(nic, 'type')];
    }
    const macOption = mac.map((m): QemuOption => ['macaddr', m]);
    const nic: QemuOption[] = [['type', 'nic'], ['netdev', id], ...modelOption, ...macOption];
    return [...stream, '-net', joinOptions(nic, 'type')];
  }

  /** The -netdev stream, and its network for the plan. */
  private stream(label: string, id: string, options: readonly QemuOption[]): readonly string[] {
    const index = this.networks.length;
    const socket = this.socketOf(index);
    const base = index === 0 ? this.base : this.base.filter(([name]) => name !== 'hostfwd');
    this.networks.push({ id, socket, ...configOf(label, [...base, ...options]) });
    return ['-netdev', streamOptions(id, socket)];
  }

  private idOf(options: readonly QemuOption[]): string {
    const said = valuesOf('id', options).at(-1);
    if (said !== undefined) return said;
    let n = this.networks.length;
    while (this.ids.has(`usernet${n}`)) n++;
    this.ids.add(`usernet${n}`);
    return `usernet${n}`;
  }
}

function configOf(
  label: string,
  options: readonly QemuOption[],
): { config: NetworkConfig; notes: readonly string[] } {
  try {
    return userNet(options);
  } catch (e) {
    if (e instanceof ConfigError) throw new UsageError(label === '' ? e.message : `${label}: ${e.message}`);
    throw e;
  }
}

/** What QEMU's -netdev takes to connect to a unix socket. */
function streamOptions(id: string, socket: string): string {
  const unix: QemuOption[] = [
    ['type', 'stream'],
    ['id', id],
    ['server', 'off'],
    ['addr.type', 'unix'],
    ['addr.path', socket],
  ];
  return joinOptions(unix, 'type');
}

function hubPort(hub: number, id: string): readonly string[] {
  return ['-netdev', `hubport,id=${id}-hub,hubid=${hub},netdev=${id}`];
}

function readWords(args: readonly string[]): Word[] {
  const words: Word[] = [];
  for (let i = 0; i < args.length; i++) {
    const text = args[i]!;
    const name = bare(text);
    const value = args[i + 1];
    const option = isNetworkOption(name) ? name : null;
    if (option !== null && value !== undefined) {
      words.push({ text, option, value });
      i++;
      continue;
    }
    words.push({ text, option: null, value: '' });
    // The one value that is free text, and may look like an option.
    if (name === 'append' && value !== undefined) {
      words.push({ text: value, option: null, value: '' });
      i++;
    }
  }
  return words;
}

/** The name of an option: QEMU takes one dash or two. Empty for anything else. */
function bare(text: string): string {
  return /^--?[^-]/.test(text) ? text.replace(/^--?/, '') : '';
}

function isNetworkOption(name: string): name is NetworkOption {
  return name === 'netdev' || name === 'nic' || name === 'net';
}

/** QEMU's rule: a user network and the machine's NIC when nothing was said about networks. */
function wantsDefault(words: readonly Word[]): boolean {
  for (const { text } of words) if (isNetworkOption(bare(text)) || bare(text) === 'nodefaults') return false;
  let machine = '';
  for (const [i, word] of words.entries()) {
    const name = bare(word.text);
    if (name !== 'M' && name !== 'machine') continue;
    machine = valuesOf('type', splitOptions(words[i + 1]?.text ?? '', 'type')).at(-1) ?? machine;
  }
  return !NO_NIC.includes(machine);
}

/** -nic tap, -nic model=help and the like are QEMU's business; -nic none is no NIC at all. */
function staysNic(word: Word): boolean {
  const type = typeOf(word);
  if (type !== 'user') return type !== 'none';
  return valuesOf('model', optionsOf(word)).some((m) => m === 'help' || m === '?');
}

/** -nic without a type is -nic user. */
function typeOf(word: Word): string {
  return valuesOf('type', optionsOf(word)).at(-1) ?? (word.option === 'nic' ? 'user' : '');
}

function optionsOf(word: Word): readonly QemuOption[] {
  if (word.option === null) return [];
  return word.value.startsWith('{') ? jsonOptions(word.value) : splitOptions(word.value, 'type');
}

/** The JSON form of -netdev. What is no JSON is left for QEMU to refuse. */
function jsonOptions(text: string): readonly QemuOption[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  return Object.entries(parsed as object).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((item: unknown): QemuOption => [name, jsonValue(item)]),
  );
}

/** Lists hold `{"str": "tcp::2222-:22"}`. */
function jsonValue(item: unknown): string {
  if (typeof item === 'boolean') return item ? 'on' : 'off';
  if (typeof item === 'object' && item !== null && 'str' in item) return String(item.str);
  return String(item);
}

function valuesOf(name: string, options: readonly QemuOption[]): string[] {
  return options.filter(([n]) => n === name).map(([, value]) => value);
}
