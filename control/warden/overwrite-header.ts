// Overwrites the key slots of a LUKS disk where they lie, before its file is let go of: what is only unlinked stays on the
// drive. The key is destroyed by the broker already; this is for whoever has it from somewhere else.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { isErrno } from '../files/index.ts';

/** Behind it lies the encrypted data of a machine's own disk; of an imported one, its only key slot lies within. */
const LUKS_HEADER_BYTES = 2 ** 20;

/** Does nothing where there is no file. */
export async function overwriteHeader(path: string): Promise<void> {
  try {
    await using disk = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
    const { size } = await disk.stat();
    await disk.write(randomBytes(Math.min(LUKS_HEADER_BYTES, size)), 0, undefined, 0);
    await disk.sync();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
