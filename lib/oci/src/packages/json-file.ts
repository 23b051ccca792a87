// JSON files that package managers leave beside what they have installed. What is no JSON is told as a database that could not be
// read: a package without its description is still there.
import type { TarEntry } from '../layers/tar-entry.ts';
import type { FactValue } from '../inspection/inspector.ts';
import { recordOf, type JsonRecord } from '../json-value.ts';
import { unread, type PackageFact } from './package-fact.ts';

export function packagesOfJson(
  { path, bytes: whole }: TarEntry,
  bytes: Uint8Array,
  read: (document: JsonRecord, list: readonly unknown[]) => readonly (PackageFact | undefined)[],
): readonly FactValue[] {
  if (bytes.length < whole) return [unread(`${path} has ${whole} bytes, and ${bytes.length} were read`)];
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes).replace(/^\uFEFF/, ''));
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    return read(recordOf(value) ?? {}, list).filter((found) => found !== undefined);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [unread(`${path} is no JSON`)];
  }
}
