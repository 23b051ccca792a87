// Another root key for the broker: everything that the old one wraps is wrapped anew, and the old one is overwritten. A broker
// that is killed meanwhile has the old root key and all that it wraps, or the new one: which of the two is decided by one
// commit of the store, which names the root key that it is wrapped under.
import { createHash, randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readFileBounded, syncDirectory, writeFileAtomic } from '../files/index.ts';
import { ROOT_KEY_BYTES, rewrapSigningKey, Secret, unwrapKey, wrapKey, type KeyIdentity } from '../keys/index.ts';
import { diskKeyIdentity } from './disk-keys.ts';
import type { BrokerStore } from './store.ts';
import { recipientKeyIdentity } from './snapshot-export.ts';
import { snapshotKeyIdentity } from './snapshot-keys.ts';
import { vmmKeyIdentity } from './vmm-keys.ts';

export const ROOT_KEY_FILE = 'root.key';
export const SIGNING_KEY_FILE = 'signing.key';
/** Behind the name of a file that takes its place once the store says so. */
const NEXT = '.next';

/** `root` is the new one when this is done. Answers how many keys were wrapped anew. */
export async function rotateRoot(directory: string, store: BrokerStore, root: Secret): Promise<number> {
  using fresh = Secret.random(ROOT_KEY_BYTES);
  await prepareRotation(directory, root, fresh);
  const keys = commitRotation(store, root, fresh);
  root.become(fresh);
  await endRotation(directory, store);
  return keys;
}

/** Writes what is to take the place of the files. The root key comes last: without it nothing was begun. */
export async function prepareRotation(directory: string, root: Secret, fresh: Secret): Promise<void> {
  const signing = join(directory, SIGNING_KEY_FILE);
  await writeFileAtomic(`${signing}${NEXT}`, await rewrapSigningKey(signing, root, fresh, 'broker'));
  await writeFileAtomic(join(directory, `${ROOT_KEY_FILE}${NEXT}`), fresh.expose());
}

/** From here on the new root key counts. */
export function commitRotation(store: BrokerStore, root: Secret, fresh: Secret): number {
  const rewrap = (identity: KeyIdentity, wrapped: Uint8Array): Uint8Array => {
    using key = unwrapKey(root, identity, wrapped);
    return wrapKey(fresh, identity, key);
  };
  const keys = store.rewrapKeys(
    rootId(fresh.expose()),
    (machine, version, wrapped) => rewrap(diskKeyIdentity(machine, version), wrapped),
    (disk, wrapped) => rewrap(vmmKeyIdentity(disk), wrapped),
    (snapshot, wrapped) => rewrap(snapshotKeyIdentity(snapshot), wrapped),
    (wrapped) => rewrap(recipientKeyIdentity(), wrapped),
  );
  store.keys.scrubLog();
  return keys;
}

/** Ends what was begun, before the keys are opened; also what a broker that was killed had begun. */
export async function endRotation(directory: string, store: BrokerStore): Promise<void> {
  const [root, signing] = [join(directory, ROOT_KEY_FILE), join(directory, SIGNING_KEY_FILE)];
  const next = await readFileBounded(`${root}${NEXT}`, ROOT_KEY_BYTES);
  if (next === undefined) return;
  const counts = store.rootId() === rootId(next);
  next.fill(0);
  if (!counts) {
    await rm(`${signing}${NEXT}`, { force: true });
    await rm(`${root}${NEXT}`);
    return;
  }
  if ((await readFileBounded(`${signing}${NEXT}`, SIGNING_LIMIT_BYTES)) !== undefined) {
    await rename(`${signing}${NEXT}`, signing);
  }
  await overwrite(root);
  await rename(`${root}${NEXT}`, root);
  await syncDirectory(directory);
}

/** A wrapped PKCS #8 key has about 180 bytes. */
const SIGNING_LIMIT_BYTES = 4096;

/** What is renamed over stays on the drive: so it is overwritten where it lies. */
async function overwrite(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(randomBytes(ROOT_KEY_BYTES), 0, ROOT_KEY_BYTES, 0);
  await file.sync();
}

/** Names a root key in the store. It has 256 random bits: its name leads to nobody who does not have it. */
function rootId(key: Uint8Array): string {
  return createHash('sha256').update('ringwall-root-key 1\n').update(key).digest('hex');
}
