// The kernel command line of a guest: one of the four measured parts of a boot, and the one that names the other two
// things that the guest trusts: the root hash of its system image and the broker's public key.
import { RingwallError } from '@ringwall/api';

export interface CommandLineParts {
  /** The image's name; decides nothing in the guest, tells a reader of the event log what booted. */
  readonly image: string;
  /** dm-verity root hash of the system image, hexadecimal. */
  readonly verityRootHash: string;
  /** Where the hash tree begins: also the length of what it covers. */
  readonly hashOffset: number;
  /** The broker's P-256 public key, X and Y, hexadecimal. */
  readonly brokerKey: string;
}

/** The kernel takes 2,048 bytes on x86 (COMMAND_LINE_SIZE) and cuts the rest off without a word. */
const LIMIT_BYTES = 2048;
const FIXED = [
  // Serial console for the operator; a panic restarts at once, which QEMU turns into an end of the machine.
  'console=ttyS0',
  'quiet',
  'loglevel=3',
  'panic=-1',
  // Emulated on a busy host, a timer comes too late for the kernel's look at it, which then panics; under KVM it does not look either.
  'no_timer_check',
  // What is measured after boot, and how: the watch reads lists of this form alone.
  'ima_template=ima-ng',
  'ima_hash=sha256',
  // A root user who may patch the kernel, or load unsigned code into it, may also have it measure nothing any more.
  'lockdown=integrity',
] as const;
const VERITY_BLOCK_BYTES = 4096;

export function commandLine(parts: CommandLineParts): string {
  const { image, verityRootHash, hashOffset, brokerKey } = parts;
  demand(/^[a-z][a-z0-9-]{0,30}$/.test(image), `image name ${JSON.stringify(image)}`);
  demand(/^[0-9a-f]{64}$/.test(verityRootHash), 'verity root hash, expected 64 hexadecimal digits');
  demand(
    Number.isSafeInteger(hashOffset) && hashOffset > 0 && hashOffset % VERITY_BLOCK_BYTES === 0,
    `hash offset ${hashOffset}, expected a multiple of ${VERITY_BLOCK_BYTES}`,
  );
  demand(/^[0-9a-f]{128}$/.test(brokerKey), 'broker key, expected 128 hexadecimal digits');
  const line = [
    ...FIXED,
    `ringwall.image=${image}`,
    `ringwall.verity=${verityRootHash}`,
    `ringwall.hashoffset=${hashOffset}`,
    `ringwall.broker=${brokerKey}`,
  ].join(' ');
  demand(line.length < LIMIT_BYTES, `${line.length} bytes, expected fewer than ${LIMIT_BYTES}`);
  return line;
}

function demand(holds: boolean, what: string): void {
  if (!holds) throw new RingwallError('internal', `kernel command line: ${what}`);
}
