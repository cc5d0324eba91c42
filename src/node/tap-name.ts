/** IFNAMSIZ of <linux/if.h>, less the NUL at its end. */
const MAX_LEN = 15;

/** Why there can be no device of that name; null when there can. */
export function tapNameFault(name: string): string | null {
  if (name === '') return 'the name of the device is missing';
  if (name.length > MAX_LEN) return `the name of the device is longer than ${MAX_LEN} characters`;
  if (!/^[!-~]+$/.test(name) || /[/:%]/.test(name) || name === '.' || name === '..')
    return 'the name of the device has characters that no device has';
  return null;
}
