// What somebody finds who has every file of a broker: wrapped disk keys anywhere in them, in rows or in what rows left behind,
// and the root key beside them. And whether a key opens a disk.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineId } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { Secret, unwrapKey } from '@ringwall/control/keys';
import { run } from '@ringwall/host/exec';

/** What every wrapped key begins with, and how long that of a disk key is. */
const WRAPPED_MAGIC = Buffer.from('RWK\u0001', 'latin1');
const WRAPPED_BYTES: number = 4 + 12 + 32 + 16;
/** Versions that a key may have had. */
const VERSIONS = 4;

/** Every disk key of this machine that comes out of the files in `directory`, each once however often it lies there. */
export function stolenDiskKeys(directory: string, machine: MachineId): Uint8Array[] {
  using root = Secret.take(readFileSync(join(directory, 'root.key')));
  const keys = readdirSync(directory).flatMap((name) =>
    wrappedKeysIn(readFileSync(join(directory, name))).flatMap((wrapped) => tryToUnwrap(root, machine, wrapped)),
  );
  return [...new Map(keys.map((key) => [toHex(key), key])).values()];
}

/** By cryptsetup, from the header alone. */
export async function opensDisk(disk: string, key: Uint8Array): Promise<boolean> {
  const argv = ['/usr/sbin/cryptsetup', 'open', '--test-passphrase', '--key-file=-', disk];
  return (await run(argv, { input: key })).code === 0;
}

function wrappedKeysIn(bytes: Buffer): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = bytes.indexOf(WRAPPED_MAGIC); at >= 0; at = bytes.indexOf(WRAPPED_MAGIC, at + 1)) {
    found.push(bytes.subarray(at, at + WRAPPED_BYTES));
  }
  return found;
}

function tryToUnwrap(root: Secret, id: MachineId, wrapped: Uint8Array): Uint8Array[] {
  for (let version = 1; version <= VERSIONS; version += 1) {
    try {
      using key = unwrapKey(root, { kind: 'disk-key', id, version }, wrapped);
      return [new Uint8Array(key.expose())];
    } catch {
      // Another machine's, another version's, or half overwritten.
    }
  }
  return [];
}
