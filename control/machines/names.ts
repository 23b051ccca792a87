// What a machine may be called: a DNS label, so that it is neither a path nor an option wherever it is written.
import { MACHINE_ID, MACHINE_NAME, RingwallError } from '@ringwall/api';

const LONGEST_NAME = 63;
const HINT = 'up to 63 lower-case letters, digits and dashes, a letter first and no dash last, e.g. web-1';

/** Refuses a name with the reason that a person needs. */
export function checkMachineName(name: string): void {
  const why = whyRefused(name);
  if (why !== undefined) throw new RingwallError('name-invalid', `${quote(name)} ${why}`, { hint: HINT });
}

/** Refuses what can be neither a machine's id nor its name. */
export function checkMachineReference(idOrName: string): void {
  if (!MACHINE_ID.test(idOrName)) checkMachineName(idOrName);
}

/** The first of `base`, `base-2`, `base-3`, … that is free. */
export function freeName(base: string, taken: ReadonlySet<string>): string {
  if (!taken.has(base)) return base;
  for (let number = 2; ; number++) {
    const name = `${base}-${String(number)}`;
    if (!taken.has(name)) return name;
  }
}

function whyRefused(name: string): string | undefined {
  if (MACHINE_NAME.test(name)) return undefined;
  if (name === '') return 'is no name: it is empty';
  if (name.startsWith('-')) return 'could be read as an option';
  if (/[/\\]|^\.|\.\./.test(name)) return 'could be read as a path';
  if (name.length > LONGEST_NAME)
    return `is too long: ${String(name.length)} characters, at most ${String(LONGEST_NAME)}`;
  if (name.endsWith('-')) return 'ends with a dash';
  if (/[A-Z]/.test(name)) return 'has capital letters';
  if (/^[0-9]/.test(name)) return 'starts with a digit';
  return 'has characters that a name may not have';
}

/** For an error that is shown on a terminal: short, and without control characters. */
function quote(name: string): string {
  const short = name.length > 40 ? `${name.slice(0, 40)}…` : name;
  return JSON.stringify(short).replaceAll(/[^\u0020-\u007e…]/g, '?');
}
