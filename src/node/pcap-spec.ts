// What stands behind `--pcap`: FILE, then options as QEMU writes them, a comma in FILE or in a filter doubled.

import { ConfigError } from '../network/config.ts';
import { type CaptureFormat, checkCapture, type PcapFileOptions } from './capture-settings.ts';
import { nameAndValue, splitAtCommas } from './comma-parts.ts';

/** What stands behind `--pcap`: a file, and how it is written. */
export interface PcapSpec {
  readonly path: string;
  readonly options: PcapFileOptions;
}

type Draft = { -readonly [Name in keyof PcapFileOptions]: PcapFileOptions[Name] };

/** Throws a string, what is wrong with the value. */
type Reader = (draft: Draft, value: string, fail: (reason: string) => never) => void;

const READERS: Readonly<Record<string, Reader>> = {
  format: (draft, value, fail) => {
    draft.format = oneOf<CaptureFormat>(value, ['pcap', 'pcapng'], fail);
  },
  snaplen: (draft, value, fail) => {
    draft.snapLen = wholeNumber(value, fail);
  },
  size: (draft, value, fail) => {
    draft.size = byteCount(value, fail);
  },
  files: (draft, value, fail) => {
    draft.files = wholeNumber(value, fail);
  },
  link: (draft, value) => {
    draft.links = [...(draft.links ?? []), value];
  },
  filter: (draft, value) => {
    draft.filter = value;
  },
  precision: (draft, value, fail) => {
    draft.precision = oneOf(value, ['micro', 'nano'], fail);
  },
};

/** The options that may follow the file, for help texts. */
export const pcapOptionNames: readonly string[] = Object.keys(READERS);

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/**
 * `text` as PcapFile takes it; `defaults` hold for what it does not say. Nothing is opened yet, but everything is
 * checked: throws a ConfigError, one line that names `option` and the setting.
 */
export function parsePcapSpec(text: string, option = '--pcap', defaults: PcapFileOptions = {}): PcapSpec {
  const [path = '', ...words] = splitAtCommas(text);
  const draft: Draft = { ...defaults, option };
  const said = new Set<string>();
  for (const word of words) {
    const [name, value] = nameAndValue(word);
    const fail = (reason: string): never => {
      throw new ConfigError(option, `${name}: ${reason}`);
    };
    if (!Object.hasOwn(READERS, name)) {
      const hint = name === '' || word.includes('=') ? '' : '; a comma in a path is doubled';
      throw new ConfigError(option, `there is no option ${JSON.stringify(name)}${hint}`);
    }
    if (said.has(name) && name !== 'link') fail('is said twice');
    said.add(name);
    READERS[name]!(draft, value, fail);
  }
  checkCapture(path, draft);
  return { path, options: draft };
}

function oneOf<T extends string>(value: string, choices: readonly T[], fail: (reason: string) => never): T {
  return (
    choices.find((choice) => choice === value) ??
    fail(`${JSON.stringify(value)} is not ${choices.join(' or ')}`)
  );
}

function wholeNumber(value: string, fail: (reason: string) => never): number {
  return /^\d{1,15}$/.test(value) ? Number(value) : fail(`${JSON.stringify(value)} is not a whole number`);
}

function byteCount(value: string, fail: (reason: string) => never): number {
  const parts = /^(\d{1,13})([kmg]?)$/i.exec(value);
  if (parts === null) return fail(`${JSON.stringify(value)} is no number of bytes, such as 10M`);
  return Number(parts[1]) * UNITS[parts[2]!.toLowerCase()]!;
}
