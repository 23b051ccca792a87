// Images that are built already, for an instance that need not build its own: those that carry this checkout's guest scripts. One that
// carries others would be tested in the place of what stands in apps/guest.
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { guestScriptsDigest, MANIFEST_FILE, parseManifest } from '@ringwall/host/guestimage';

const GUEST_SCRIPTS = resolve(import.meta.dirname, '../apps/guest');

/** Copies each image of `from`, where there is any; what is left out is built when it is wanted. */
export async function copyCurrentImages(from: string, to: string): Promise<void> {
  for (const name of existsSync(from) ? readdirSync(from) : []) {
    const manifest = join(from, name, MANIFEST_FILE);
    if (!existsSync(manifest)) continue;
    const { guestScripts } = parseManifest(readFileSync(manifest, 'utf8'));
    if (guestScripts !== (await guestScriptsDigest(GUEST_SCRIPTS, name))) continue;
    cpSync(join(from, name), join(to, name), { recursive: true, preserveTimestamps: true });
  }
}
