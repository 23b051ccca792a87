// The images that are known on this host: a file that is written whole, or not at all. By it ancestors are told.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { OciError, type KnownImage } from '@ringwall/oci';

const FORMAT = 'ringwall-catalogue/1';
/** Some ten thousand images. */
const MAX_CATALOGUE_BYTES: number = 256 * 1024 ** 2;

/** None where there is no file. Throws OciError where it is not ours: ancestors that nobody sees any more would be missed. */
export function readCatalogue(file: string): readonly KnownImage[] {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (stat.size > MAX_CATALOGUE_BYTES)
    throw new OciError('limit', `${file} has more than ${String(MAX_CATALOGUE_BYTES)} bytes`);
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new OciError('malformed', `${file} is no catalogue of images`, { cause });
  }
  if (!isCatalogue(document)) throw new OciError('malformed', `${file} is no catalogue of images`);
  return document.images;
}

/** Replaces the one of its name. */
export function addToCatalogue(file: string, image: KnownImage): void {
  const others = readCatalogue(file).filter(({ name }) => name !== image.name);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const beside = `${file}.${String(process.pid)}`;
  writeFileSync(beside, `${JSON.stringify({ format: FORMAT, images: [...others, image] })}\n`, {
    mode: 0o600,
    flush: true,
  });
  renameSync(beside, file);
}

interface Catalogue {
  readonly format: typeof FORMAT;
  readonly images: readonly KnownImage[];
}

function isCatalogue(value: unknown): value is Catalogue {
  if (typeof value !== 'object' || value === null || !('format' in value) || !('images' in value)) return false;
  return value.format === FORMAT && Array.isArray(value.images) && value.images.every(isKnownImage);
}

function isKnownImage(value: unknown): value is KnownImage {
  if (typeof value !== 'object' || value === null) return false;
  const { name, digest, diffIds, created, findings }: Partial<Record<keyof KnownImage, unknown>> = value;
  const areTexts = (list: unknown): boolean => Array.isArray(list) && list.every((each) => typeof each === 'string');
  return [name, digest, created].every((each) => typeof each === 'string') && areTexts(diffIds) && areTexts(findings);
}
