// Under which names advisories are kept for a package: the ecosystem as the OSV schema names it, and the names within it.
import type { InstalledPackage } from '../packages/installed-packages.ts';
import type { Distribution } from '../packages/os-release.ts';
import type { PackageType } from '../packages/package-fact.ts';
import { schemeOfEcosystem, type VersionScheme } from '../versions/compare.ts';
import { canonicalName } from './feeds/osv.ts';

export interface AdvisoryKey {
  /** The first that a feed speaks for counts. Never empty. */
  readonly ecosystems: readonly string[];
  /** The nearest first: what is said of a binary package goes before what is said of its source. */
  readonly names: readonly string[];
  /** What is compared with the ranges: of Debian the version of the source package. */
  readonly version: string;
  readonly scheme: VersionScheme;
}

const LANGUAGES: Readonly<Partial<Record<PackageType, string>>> = {
  cargo: 'crates.io',
  composer: 'Packagist',
  gem: 'RubyGems',
  golang: 'Go',
  maven: 'Maven',
  npm: 'npm',
  nuget: 'NuGet',
  pypi: 'PyPI',
};

/** Undefined where the distribution is none that advisories are known for. */
export function advisoryKeyOf(found: InstalledPackage, distribution: Distribution): AdvisoryKey | undefined {
  const { type, name, version, source, sourceVersion } = found;
  const language = LANGUAGES[type];
  if (language !== undefined) return keyOf([language], [canonicalName(language, name)], version);
  const ecosystems = ecosystemsOf(type, distribution);
  if (ecosystems.length === 0) return undefined;
  if (type === 'deb') return keyOf(ecosystems, [source], sourceVersion);
  if (type === 'apk') return keyOf(ecosystems, [...new Set([source, name])], version);
  return keyOf(ecosystems, [...new Set([name, source])], version);
}

function keyOf(ecosystems: readonly string[], names: readonly string[], version: string): AdvisoryKey | undefined {
  const scheme = schemeOfEcosystem(ecosystems[0] ?? '');
  return scheme === undefined ? undefined : { ecosystems, names, version, scheme };
}

function ecosystemsOf(type: PackageType, { id, version, codename }: Distribution): readonly string[] {
  const [major = '', minor = ''] = version.split('.');
  if (type === 'deb') {
    if (id === 'debian') return [`Debian:${major === '' ? (DEBIAN_WITHOUT_NUMBER[codename] ?? 'sid') : major}`];
    if (id === 'ubuntu') return [`Ubuntu:${version}:LTS`, `Ubuntu:${version}`, `Ubuntu:Pro:${version}:LTS`];
    return [];
  }
  if (type === 'apk') {
    if (id === 'alpine') return [`Alpine:v${major}.${minor}`];
    if (id === 'wolfi') return ['Wolfi'];
    return id === 'chainguard' ? ['Chainguard', 'Wolfi'] : [];
  }
  switch (id) {
    // CentOS was built from the same sources with the same releases; CentOS Stream goes before them, and is not.
    case 'centos':
      return Number(major) < 8 ? [`Red Hat:${major}`] : [];
    case 'rhel':
      return [`Red Hat:${major}`];
    case 'rocky':
      return [`Rocky Linux:${major}`];
    case 'almalinux':
      return [`AlmaLinux:${major}`];
    case 'opensuse-leap':
      return [`openSUSE:Leap ${version}`];
    case 'sles':
      return [`SUSE:Linux Enterprise Server ${minor === '' ? major : `${major} SP${minor}`}`];
    case 'mageia':
      return [`Mageia:${major}`];
    case 'openeuler':
      return [`openEuler:${version}`];
    case 'azurelinux':
    case 'mariner':
      return [`Azure Linux:${major}`];
    default:
      return [];
  }
}

/** Images of testing say no number. */
const DEBIAN_WITHOUT_NUMBER: Readonly<Record<string, string>> = { trixie: '13', forky: '14', duke: '15' };
