/** IFNAMSIZ of <linux/if.h>, less the NUL at its end. */
const MAX_LEN = 15;
/** Folders of /proc/sys/net/ipv4/conf: Linux makes no device of that name. */
const RESERVED: readonly string[] = ['all', 'default'];

/** Why no device of that name can be opened; null when one can. */
export function tapNameFault(name: string): string | null {
  if (name === '') return 'the name of the device is missing';
  if (name.length > MAX_LEN) return `the name of the device is longer than ${MAX_LEN} characters`;
  if (/[\s/:%]/.test(name) || name.includes('\0') || name === '.' || name === '..')
    return 'the name of the device has characters that no device has';
  if (RESERVED.includes(name)) return `Linux keeps the name ${name} for itself`;
  // Linux takes nearly any byte; what a terminal would show of it is another question.
  if (!/^[!-~]+$/.test(name))
    return 'the name of the device has characters that are not supported: only visible ASCII is';
  return null;
}
