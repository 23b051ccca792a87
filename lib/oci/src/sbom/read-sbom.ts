// What reading a bill of materials has in common, whatever its format: every part of it was written by somebody else, and
// what it does not say well enough to look up is counted, for it is not known to be clean.
import { OciError } from '../oci-error.ts';
import type { ImagePackages, InstalledPackage } from '../packages/installed-packages.ts';
import { UNKNOWN_DISTRIBUTION, type Distribution } from '../packages/os-release.ts';
import { makePackage, MAX_FIELD_CHARACTERS } from '../packages/package-fact.ts';
import { parsePurl } from '../packages/purl.ts';

/** Of a document; those of images with everything have some 20 MiB. */
export const MAX_SBOM_BYTES: number = 128 * 1024 * 1024;
const MAX_COMPONENTS = 200_000;

export interface ParsedSbom {
  readonly format: 'CycloneDX' | 'SPDX';
  /** Of what it is about; '' where it does not say. */
  readonly name: string;
  readonly packages: ImagePackages;
}

interface RawComponent {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly path: string;
  readonly licence: string;
  readonly source: string;
  readonly sourceVersion: string;
  readonly module: string;
  readonly ownedBy: string;
}

interface SbomReading {
  readonly operatingSystem: (name: string, version: string) => void;
  readonly component: (component: RawComponent) => void;
  readonly checkDepth: (depth: number, most: number) => void;
  readonly finish: (name: string) => ParsedSbom;
}

/** What is no package by its own word: `file` of CycloneDX, `CONTAINER` of SPDX. */
const NO_PACKAGES: readonly string[] = [
  'file',
  'container',
  'device',
  'data',
  'platform',
  'CONTAINER',
  'FILE',
  'SOURCE',
];

export function openSbomReading(format: ParsedSbom['format']): SbomReading {
  const packages: InstalledPackage[] = [];
  let distribution: Distribution = UNKNOWN_DISTRIBUTION;
  let count = 0;
  const unnamed: string[] = [];
  return {
    operatingSystem: (name, version) => {
      distribution = { ...UNKNOWN_DISTRIBUTION, id: name.toLowerCase(), version, name: `${name} ${version}` };
    },
    component: (raw) => {
      count += 1;
      if (count > MAX_COMPONENTS)
        throw new OciError('limit', `bill of materials has more than ${MAX_COMPONENTS} components`);
      const parsed = raw.purl === '' ? undefined : parsePurl(raw.purl);
      if (parsed === undefined) {
        if (!NO_PACKAGES.includes(raw.type)) unnamed.push(`${raw.name} ${raw.version}`);
        return;
      }
      const found = makePackage(parsed.package.type, {
        ...parsed.package,
        source: raw.source || parsed.package.source,
        sourceVersion: raw.sourceVersion || parsed.package.sourceVersion,
        licence: raw.licence,
        module: raw.module,
      });
      if (found === undefined) return;
      packages.push({ ...found, path: raw.path.slice(0, MAX_FIELD_CHARACTERS), layer: 0, ownedBy: raw.ownedBy });
      // Without a component for the system, each of its packages says which it is of: `debian-12`.
      const [, id, version = ''] = /^([a-z]+)-(.+)$/.exec(parsed.distro) ?? [];
      if (id !== undefined && distribution.id === '') {
        distribution = { ...UNKNOWN_DISTRIBUTION, id, version, name: `${id} ${version}` };
      }
    },
    checkDepth: (depth, most) => {
      if (depth > most) throw new OciError('limit', `components are within each other more than ${most} times`);
    },
    finish: (name) => {
      const [example = ''] = unnamed;
      const why = `${unnamed.length} components have no package URL that could be looked up, as ${example}`;
      const unread = unnamed.length === 0 ? [] : [{ path: '', layer: 0, why }];
      return { format, name: name.slice(0, MAX_FIELD_CHARACTERS), packages: { distribution, packages, unread } };
    },
  };
}
