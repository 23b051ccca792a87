// File capabilities, as the attribute `security.capability` holds them: `struct vfs_cap_data` of linux/capability.h, versions 1
// to 3, little-endian. Whoever made the image controls every byte.
import { Cursor, ParseError } from '@ringwall/bytes';

const VERSION_MASK = 0xff000000;
const WORDS: Readonly<Record<number, number>> = { 0x01000000: 1, 0x02000000: 2, 0x03000000: 2 };

/** By bit, as in capabilities(7). */
const NAMES: readonly string[] =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'.split(
    ' ',
  );

/** Each is a way to be root, or to read what only root may. */
const AS_ROOT: ReadonlySet<string> = new Set(
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER SETGID SETUID SETPCAP SYS_MODULE SYS_RAWIO SYS_PTRACE SYS_ADMIN SETFCAP MKNOD SYS_CHROOT MAC_ADMIN MAC_OVERRIDE BPF'
    .split(' ')
    .map((name) => `CAP_${name}`),
);

/** Those that a process may use, or is given for the asking. `attribute` has one character for each byte; undefined where it is none. */
export function parseFileCapabilities(attribute: string): readonly string[] | undefined {
  const cursor = new Cursor(Uint8Array.from(attribute, (character) => character.charCodeAt(0)));
  try {
    const words = WORDS[(cursor.u32le('magic_etc') & VERSION_MASK) >>> 0];
    if (words === undefined) return undefined;
    const names: string[] = [];
    for (let word = 0; word < words; word += 1) {
      const bits = cursor.u32le('permitted') | cursor.u32le('inheritable');
      for (let bit = 0; bit < 32; bit += 1) {
        const number = word * 32 + bit;
        if (((bits >>> bit) & 1) === 1) names.push(`CAP_${NAMES[number] ?? String(number)}`);
      }
    }
    return names;
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

export function givesRoot(capability: string): boolean {
  return AS_ROOT.has(capability);
}
