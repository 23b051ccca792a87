// EV_IPL: what boot loaders write beside their measurements. No specification gives the text a form; these are the forms
// of GRUB 2 (grub-core/commands/tpm.c and its callers), shim (tpm.c) and systemd-boot (src/boot/measure.c).

import { utf16Text, utf8Text } from './event-text.ts';

const GRUB_PREFIXES = [
  ['grub_cmd: ', 'command'],
  ['kernel_cmdline: ', 'kernel-command-line'],
  ['module_cmdline: ', 'module-command-line'],
  // GRUB of Fedora and Red Hat before 2.06.
  ['grub_cmd ', 'command'],
  ['grub_kernel_cmdline ', 'kernel-command-line'],
  ['grub_linuxefi ', 'kernel-command-line'],
] as const;
const SHIM_VARIABLES: ReadonlySet<string> = new Set([
  'MokList',
  'MokListX',
  'MokListTrusted',
  'MokSBState',
  'MokDBState',
  'SbatLevel',
  'Shim',
]);
/** `(hd0,gpt1)/boot/grub/grub.cfg`, or a path. */
const FILE = /^(\([^)]*\)|\/|\\)/;

export interface Ipl {
  readonly kind: 'ipl';
  readonly writer: 'grub' | 'shim' | 'systemd' | 'unknown';
  readonly what: 'command' | 'kernel-command-line' | 'module-command-line' | 'file' | 'variable' | 'text';
  readonly text: string;
}

/** Undefined where the data is no text: any bytes are allowed here. */
export function parseIpl(data: Uint8Array): Ipl | undefined {
  const wide = utf16Text(data);
  if (wide !== undefined) return { kind: 'ipl', writer: 'systemd', what: 'text', text: wide };
  const text = utf8Text(data);
  if (text === undefined) return undefined;
  const prefix = GRUB_PREFIXES.find(([start]) => text.startsWith(start));
  if (prefix !== undefined) return { kind: 'ipl', writer: 'grub', what: prefix[1], text: text.slice(prefix[0].length) };
  if (SHIM_VARIABLES.has(text)) return { kind: 'ipl', writer: 'shim', what: 'variable', text };
  if (FILE.test(text)) return { kind: 'ipl', writer: 'grub', what: 'file', text };
  return { kind: 'ipl', writer: 'unknown', what: 'text', text };
}

/** What GRUB hashes of such data: the text behind its prefix, with and without the NUL. */
export function iplCandidates(data: Uint8Array): readonly Uint8Array[] {
  const whole = data.at(-1) === 0 ? [data, data.subarray(0, -1)] : [data];
  const head = new TextDecoder('latin1').decode(data.subarray(0, 32));
  const prefix = GRUB_PREFIXES.find(([start]) => head.startsWith(start))?.[0];
  return prefix === undefined ? whole : [...whole, ...whole.map((bytes) => bytes.subarray(prefix.length))];
}
