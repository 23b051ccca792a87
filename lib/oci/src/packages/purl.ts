// Package URLs, the names that SBOMs and other scanners give to packages: purl-spec 1.0, and the qualifiers of its types.
// `upstream`, which no type defines, is what Syft writes for the package that one was built from; without it advisories of
// distributions cannot be looked up.
import { OciError } from '../oci-error.ts';
import type { Distribution } from './os-release.ts';
import { makePackage, PACKAGE_TYPES, type PackageFact, type PackageType } from './package-fact.ts';

/** Honest ones have some 200. */
const MAX_PURL_CHARACTERS = 4096;

/** Types whose names begin with a namespace that the name itself carries, and what it is parted by there. */
const SEPARATORS: Readonly<Partial<Record<PackageType, string>>> = {
  composer: '/',
  golang: '/',
  maven: ':',
  npm: '/',
};
const OF_DISTRIBUTIONS: readonly PackageType[] = ['apk', 'deb', 'rpm'];

type Qualifier = readonly [key: string, value: string];

export function renderPurl(found: PackageFact, distribution: Distribution): string {
  const ofDistribution = OF_DISTRIBUTIONS.includes(found.type);
  const namespace = ofDistribution ? distribution.id : namespaceOf(found).namespace;
  const name = ofDistribution ? found.name : namespaceOf(found).name;
  const [, epoch = '', version = ''] = found.type === 'rpm' ? splitEpoch(found.version) : ['', '', found.version];
  const qualifiers = qualifiersOf(found, distribution, epoch);
  const path = [...(namespace === '' ? [] : namespace.split('/')), name].map((part) => encode(part)).join('/');
  const query = qualifiers.map(([key, value]) => `${key}=${encode(value)}`).join('&');
  return `pkg:${found.type}/${path}@${encode(version)}${query === '' ? '' : `?${query}`}`;
}

function qualifiersOf(found: PackageFact, distribution: Distribution, epoch: string): readonly Qualifier[] {
  if (!OF_DISTRIBUTIONS.includes(found.type)) return [];
  const { name, version, architecture, source, sourceVersion } = found;
  const builtFrom =
    source === name && sourceVersion === version
      ? ''
      : sourceVersion === version
        ? source
        : `${source}@${sourceVersion}`;
  const distro = [distribution.id, distribution.version].filter((part) => part !== '').join('-');
  // In the order of their keys, as the specification asks.
  const qualifiers: readonly Qualifier[] = [
    ['arch', architecture],
    ['distro', distro],
    ['epoch', epoch],
    ['upstream', builtFrom],
  ];
  return qualifiers.filter(([, value]) => value !== '');
}

function namespaceOf({ type, name }: PackageFact): { readonly namespace: string; readonly name: string } {
  const canonical = type === 'pypi' ? name.toLowerCase().replaceAll(/[-_.]+/g, '-') : name;
  const separator = SEPARATORS[type];
  const at = separator === undefined ? -1 : canonical.lastIndexOf(separator);
  return at < 0
    ? { namespace: '', name: canonical }
    : { namespace: canonical.slice(0, at), name: canonical.slice(at + 1) };
}

function splitEpoch(version: string): readonly string[] {
  return /^(?:(\d+):)?(.*)$/s.exec(version) ?? [];
}

/** Everything but letters, digits and `.-_~`; a colon stands as it is. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');
}

export interface ParsedPurl {
  readonly package: PackageFact;
  /** As in `debian` and `debian-12`; '' where there is none. */
  readonly namespace: string;
  readonly distro: string;
}

/** Undefined where it is of a type that this package does not know, or has no version. Throws OciError `malformed`. */
export function parsePurl(text: string): ParsedPurl | undefined {
  if (text.length > MAX_PURL_CHARACTERS) {
    throw new OciError('limit', `package URL has ${text.length} characters, at most ${MAX_PURL_CHARACTERS}`);
  }
  const [, rawType = '', rawPath = '', rawVersion = '', rawQuery = ''] =
    /^pkg:\/*([A-Za-z][A-Za-z0-9.+-]*)\/([^?#@]+|[^?#]+(?=@))(?:@([^?#]*))?(?:\?([^#]*))?(?:#.*)?$/.exec(text) ?? [];
  if (rawPath === '') throw new OciError('malformed', `${JSON.stringify(text.slice(0, 100))} is no package URL`);
  const type = PACKAGE_TYPES.find((each) => each === rawType.toLowerCase());
  if (type === undefined || rawVersion === '') return undefined;
  const parts = rawPath
    .split('/')
    .filter((part) => part !== '')
    .map((part) => decode(part));
  const qualifiers = new Map(
    rawQuery.split('&').map((pair): [string, string] => {
      const [key = '', ...value] = pair.split('=');
      return [key.toLowerCase(), decode(value.join('='))];
    }),
  );
  const ofDistribution = OF_DISTRIBUTIONS.includes(type);
  const namespace = parts.slice(0, -1).join('/');
  const separator = SEPARATORS[type] ?? '/';
  const last = parts.at(-1) ?? '';
  const epoch = qualifiers.get('epoch') ?? '';
  const version = decode(rawVersion);
  const [, source = '', sourceVersion = ''] = /^([^@]*)(?:@(.*))?$/s.exec(qualifiers.get('upstream') ?? '') ?? [];
  const found = makePackage(type, {
    name: ofDistribution || namespace === '' ? last : `${namespace}${separator}${last}`,
    version: type === 'rpm' && epoch !== '' && !version.includes(':') ? `${epoch}:${version}` : version,
    architecture: qualifiers.get('arch') ?? '',
    source: sourceNameOf(type, source),
    sourceVersion,
  });
  if (found === undefined) return undefined;
  return { package: found, namespace: ofDistribution ? namespace : '', distro: qualifiers.get('distro') ?? '' };
}

/** Syft names the source of an RPM by its file. */
function sourceNameOf(type: PackageType, upstream: string): string {
  const [, name] = type === 'rpm' ? (/^(.+)-[^-]+-[^-]+\.(?:no)?src\.rpm$/.exec(upstream) ?? []) : [];
  return name ?? upstream;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new OciError('malformed', `${JSON.stringify(text.slice(0, 100))} is no percent-encoded text`);
  }
}
