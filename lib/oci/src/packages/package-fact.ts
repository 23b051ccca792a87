// What an inspector says of one installed package, in the words of its database. Kept as JSON by the digest of a layer, so
// that it is read back with checks: a file of facts may be from another version, or from somebody else.
import type { FactValue } from '../inspection/inspector.ts';

/** The types of Package URLs, https://github.com/package-url/purl-spec (PURL-TYPES). */
export const PACKAGE_TYPES = [
  'apk',
  'cargo',
  'composer',
  'deb',
  'gem',
  'golang',
  'maven',
  'npm',
  'nuget',
  'pypi',
  'rpm',
] as const;
export type PackageType = (typeof PACKAGE_TYPES)[number];

/** One database of an honest image has some thousand; each is an object of some hundred bytes. */
export const MAX_PACKAGES_OF_A_FILE = 100_000;
/** Of a name, a version, a licence, a path: whoever made the image writes them, and every report shows them. */
export const MAX_FIELD_CHARACTERS = 1024;

/** `type`, not `interface`: it must be a value that JSON can carry. */
export type PackageFact = {
  readonly kind: 'package';
  readonly type: PackageType;
  /** As its ecosystem has it: `@scope/name`, `group:artifact`, `github.com/owner/module`. */
  readonly name: string;
  /** With its epoch where it has one. */
  readonly version: string;
  /** '' where it is for all, or the ecosystem knows none. */
  readonly architecture: string;
  /** What it was built from: Debian's source package, Alpine's origin, the source RPM. Advisories of distributions name these. */
  readonly source: string;
  readonly sourceVersion: string;
  /** As written: `GPL-2.0-or-later`, `MIT AND BSD-3-Clause`, `LGPLv2+`. '' where the database says none. */
  readonly licence: string;
  /** Modularity label of RPM (`nodejs:18:…`); advisories count for one stream alone. */
  readonly module: string;
  /** Files of it that are packages of a language, too: what the distribution has fixed in them is its word to say. */
  readonly owns: readonly string[];
};

/** A database, or a part of one, that is there and could not be read: its packages are never counted as clean. */
export type UnreadFact = { readonly kind: 'unread'; readonly why: string };

type Field = Exclude<keyof PackageFact, 'kind' | 'type' | 'owns'>;
const FIELDS: readonly Field[] = ['name', 'version', 'architecture', 'source', 'sourceVersion', 'licence', 'module'];

/** Undefined where a name or a version is missing: without them it is no package that anything could be said about. */
export function makePackage(
  type: PackageType,
  fields: Readonly<Partial<Record<Field, string>>>,
  owns: readonly string[] = [],
): PackageFact | undefined {
  const field = (name: Field): string => (fields[name] ?? '').trim().slice(0, MAX_FIELD_CHARACTERS);
  const [name, version] = [field('name'), field('version')];
  if (name === '' || version === '') return undefined;
  return {
    kind: 'package',
    type,
    name,
    version,
    architecture: field('architecture'),
    source: field('source') || name,
    sourceVersion: field('sourceVersion') || version,
    licence: field('licence'),
    module: field('module'),
    owns,
  };
}

export function unread(why: string): UnreadFact {
  return { kind: 'unread', why: why.slice(0, MAX_FIELD_CHARACTERS) };
}

/** Undefined where the fact is neither. */
export function readPackageFact(value: FactValue): PackageFact | UnreadFact | undefined {
  if (!isRecord(value)) return undefined;
  if (value['kind'] === 'unread') return unread(textOf(value['why']));
  const type = PACKAGE_TYPES.find((each) => each === value['type']);
  if (value['kind'] !== 'package' || type === undefined) return undefined;
  const fields = Object.fromEntries(FIELDS.map((name) => [name, textOf(value[name])]));
  const owns = value['owns'];
  return makePackage(type, fields, isList(owns) ? owns.map((path) => textOf(path)) : []);
}

function textOf(value: FactValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function isRecord(value: FactValue): value is { readonly [key: string]: FactValue } {
  return typeof value === 'object' && value !== null && !isList(value);
}

function isList(value: FactValue | undefined): value is readonly FactValue[] {
  return Array.isArray(value);
}
