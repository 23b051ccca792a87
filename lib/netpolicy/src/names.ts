// The names that a policy may use. None of them can be read as syntax of nftables, of a shell or of a path: letters, digits,
// dots and dashes, beginning with a letter or digit.
import { quoted } from './address.ts';
import { asText } from './closed-object.ts';
import { NetPolicyError } from './netpolicy-error.ts';

/** `role=web`, one value for each key. */
export type Labels = Readonly<Record<string, string>>;

const NAME = /^[a-z0-9][a-z0-9-]{0,47}$/;
const LABEL_VALUE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** IFNAMSIZ of Linux less its final zero. A trailing `*` would be a pattern to nftables. */
const INTERFACE = /^[a-z][a-z0-9]{0,14}$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
/** Labels of one machine, and of one end of a rule. */
export const MAX_LABELS = 16;

export function parseName(value: unknown, at: string): string {
  return matching(value, at, NAME, 'a name: a-z, 0-9 and dashes, at most 48');
}

export function parseLabelValue(value: unknown, at: string): string {
  return matching(value, at, LABEL_VALUE, 'a value of a label: letters, digits, dots, dashes, at most 63');
}

export function parseInterface(value: unknown, at: string): string {
  return matching(value, at, INTERFACE, 'the name of an interface: a-z and 0-9, at most 15');
}

/** One station's address (IEEE 802, 8.2): the group bit is not set, and it is not all zero. */
export function parseMac(value: unknown, at: string): string {
  const mac = matching(value, at, MAC, 'a hardware address: six pairs of lower-case digits, colons between');
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 || mac === '00:00:00:00:00:00') {
    throw new NetPolicyError('address-invalid', at, `${quoted(mac)} is no address of one station`);
  }
  return mac;
}

export function parseLabels(entries: readonly [string, unknown, string][]): Labels {
  return Object.fromEntries(entries.map(([key, value, at]) => [parseName(key, at), parseLabelValue(value, at)]));
}

function matching(value: unknown, at: string, pattern: RegExp, form: string): string {
  const text = asText(value, at);
  if (!pattern.test(text)) throw new NetPolicyError('name-invalid', at, `${quoted(text)} is not ${form}`);
  return text;
}
