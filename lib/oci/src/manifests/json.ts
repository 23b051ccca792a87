// Documents of registries and archives, read as what they are: JSON that somebody else wrote.
import { OciError } from '../oci-error.ts';

/** OCI Distribution Specification 1.1, "Pushing Manifests": registries take 4 MiB at least, and hardly one takes more. */
export const MAX_DOCUMENT_BYTES: number = 4 * 1024 ** 2;

export type JsonObject = Readonly<Record<string, unknown>>;

/** Throws OciError. */
export function parseJsonObject(bytes: Uint8Array, what: string): JsonObject {
  const document = parseJson(bytes, what);
  if (!isObject(document)) throw malformed(what, 'is no JSON object');
  return document;
}

/** Throws OciError. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > MAX_DOCUMENT_BYTES)
    throw new OciError('limit', `${what} has ${bytes.length} bytes, at most ${MAX_DOCUMENT_BYTES}`);
  try {
    const document: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return document;
  } catch (cause) {
    throw new OciError('malformed', `${what} is no JSON`, { cause });
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text, '' where it is not there. Throws OciError. */
export function textOf(object: JsonObject, key: string, what: string): string {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw malformed(what, `has a ${key} that is no text`);
  return value;
}

/** A list of texts, empty where it is not there. Throws OciError. */
export function textsOf(object: JsonObject, key: string, what: string): readonly string[] {
  return listOf(object, key, what).map((value) => {
    if (typeof value !== 'string') throw malformed(what, `has ${key} that are no texts`);
    return value;
  });
}

/** Throws OciError. */
export function listOf(object: JsonObject, key: string, what: string): readonly unknown[] {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed(what, `has ${key} that are no list`);
  return value;
}

/** Throws OciError. */
export function objectOf(object: JsonObject, key: string, what: string): JsonObject {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw malformed(what, `has ${key} that are no object`);
  return value;
}

/** Texts by texts. Throws OciError. */
export function labelsOf(object: JsonObject, key: string, what: string): Readonly<Record<string, string>> {
  const labels: [string, string][] = Object.entries(objectOf(object, key, what)).map(([name, value]) => {
    if (typeof value !== 'string') throw malformed(what, `has ${key} that are no texts`);
    return [name, value];
  });
  return Object.fromEntries(labels);
}

export function malformed(what: string, detail: string): OciError {
  return new OciError('malformed', `${what} ${detail}`);
}
