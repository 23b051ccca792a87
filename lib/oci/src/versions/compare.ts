// Versions compared exactly as each ecosystem does, and whether a version lies in the ranges of an advisory (OSV schema
// 1.7, "affected[].ranges[]" and its evaluation).
import { OciError } from '../oci-error.ts';
import { compareApk } from './apk.ts';
import { compareComposer } from './composer.ts';
import { compareDpkg } from './dpkg.ts';
import { compareMaven } from './maven.ts';
import type { CompareVersions, Order } from './order.ts';
import { comparePep440 } from './pep440.ts';
import { compareRpm } from './rpm.ts';
import { compareRubygems } from './rubygems.ts';
import { compareNuget, compareSemver } from './semver.ts';

/** Package databases are written by whoever made the image. The longest honest ones, of Go modules, have about 80. */
export const MAX_VERSION_CHARACTERS = 512;

export type VersionScheme = 'apk' | 'composer' | 'dpkg' | 'maven' | 'nuget' | 'pep440' | 'rpm' | 'rubygems' | 'semver';

const SCHEMES: Readonly<Record<VersionScheme, CompareVersions>> = {
  apk: compareApk,
  composer: compareComposer,
  dpkg: compareDpkg,
  maven: compareMaven,
  nuget: compareNuget,
  pep440: comparePep440,
  rpm: compareRpm,
  rubygems: compareRubygems,
  semver: compareSemver,
};

/** Ecosystems as the OSV schema names them, without what follows a colon (`Debian:12`). */
const SCHEME_OF_ECOSYSTEM: Readonly<Record<string, VersionScheme>> = {
  AlmaLinux: 'rpm',
  Alpaquita: 'apk',
  Alpine: 'apk',
  'Azure Linux': 'rpm',
  Bitnami: 'semver',
  Chainguard: 'apk',
  'crates.io': 'semver',
  Debian: 'dpkg',
  Echo: 'dpkg',
  Go: 'semver',
  Hex: 'semver',
  Mageia: 'rpm',
  Maven: 'maven',
  MinimOS: 'apk',
  npm: 'semver',
  NuGet: 'nuget',
  openEuler: 'rpm',
  openSUSE: 'rpm',
  Packagist: 'composer',
  Pub: 'semver',
  PyPI: 'pep440',
  'Red Hat': 'rpm',
  'Rocky Linux': 'rpm',
  RubyGems: 'rubygems',
  SUSE: 'rpm',
  SwiftURL: 'semver',
  Ubuntu: 'dpkg',
  Wolfi: 'apk',
};

/** Undefined where the ecosystem is none that this package can compare: say so, and never count it as clean. */
export function schemeOfEcosystem(ecosystem: string): VersionScheme | undefined {
  const [name = ''] = ecosystem.split(':');
  return Object.hasOwn(SCHEME_OF_ECOSYSTEM, name) ? SCHEME_OF_ECOSYSTEM[name] : undefined;
}

/** Throws OciError `limit` where a version is longer than MAX_VERSION_CHARACTERS; any other text has its place. */
export function compareVersions(scheme: VersionScheme, one: string, other: string): Order {
  return SCHEMES[scheme](bounded(one), bounded(other));
}

export interface RangeEvent {
  readonly introduced?: string;
  readonly fixed?: string;
  readonly last_affected?: string;
}

/** The events of one range, in any order. `introduced: "0"` is before every version. */
export function isAffected(scheme: VersionScheme, version: string, events: readonly RangeEvent[]): boolean {
  const compare = (one: string, other: string): Order =>
    one === '0' || other === '0' ? zeroFirst(one, other) : compareVersions(scheme, one, other);
  const zeroFirst = (one: string, other: string): Order => (one === other ? 0 : one === '0' ? -1 : 1);
  const sorted = events
    .map((event) => ({ event, at: event.introduced ?? event.fixed ?? event.last_affected }))
    .filter((entry): entry is { event: RangeEvent; at: string } => entry.at !== undefined)
    .toSorted((one, other) => compare(one.at, other.at) || rankOf(one.event) - rankOf(other.event));
  let affected = false;
  for (const { event, at } of sorted) {
    if (event.introduced !== undefined && compare(version, at) >= 0) affected = true;
    else if (event.fixed !== undefined && compare(version, at) >= 0) affected = false;
    else if (event.last_affected !== undefined && compare(version, at) > 0) affected = false;
  }
  return affected;
}

/** At one version: what was fixed there is no longer in, what is introduced there is. */
function rankOf(event: RangeEvent): number {
  if (event.fixed !== undefined) return 0;
  return event.introduced === undefined ? 2 : 1;
}

function bounded(version: string): string {
  if (version.length <= MAX_VERSION_CHARACTERS) return version;
  throw new OciError('limit', `version has ${version.length} characters, at most ${MAX_VERSION_CHARACTERS}`);
}
