// What is installed in an image: of each database the version that a container sees counts, so that a package which a later
// layer has removed is not installed. Databases are written anew by each layer that installs something: a package is of the
// lowest layer from which on it was always there.
import { listField, textField } from '../findings/fact-fields.ts';
import type { InspectedImage, PlacedFact } from '../inspection/inspected-image.ts';
import type { FactValue } from '../inspection/inspector.ts';
import { copyrightLicences, type CopyrightLicence } from './dpkg/copyright.ts';
import { dpkgListInspector } from './dpkg/dpkg.ts';
import { isProgram } from './language-files.ts';
import { mergedPath } from './merged-path.ts';
import { distributionOf, type Distribution } from './os-release.ts';
import { readPackageFact, type PackageFact } from './package-fact.ts';
import { PACKAGE_INSPECTORS } from './package-inspectors.ts';
import { unlinkedPackages } from './unlinked.ts';

export interface InstalledPackage extends PackageFact {
  /** Of the file that says so: a database, or the package's own description. */
  readonly path: string;
  readonly layer: number;
  /** The package of the distribution that this package of a language came with; '' where it came by itself. */
  readonly ownedBy: string;
  /** Read out of free text, where the package names its licence in no field. */
  readonly concludedLicence?: string;
}

export interface UnreadDatabase {
  readonly path: string;
  readonly layer: number;
  readonly why: string;
}

export interface ImagePackages {
  readonly distribution: Distribution;
  readonly packages: readonly InstalledPackage[];
  /** What is there and could not be read: its packages are not known, and never clean. */
  readonly unread: readonly UnreadDatabase[];
  /** Of dpkg, by name: libraries that no program of the image is linked with. A hint. */
  readonly unlinked?: ReadonlySet<string>;
}

export function installedPackages(image: InspectedImage): ImagePackages {
  const found: InstalledPackage[] = [];
  const unread: UnreadDatabase[] = [];
  for (const { id } of PACKAGE_INSPECTORS) {
    const placed = image.facts(id);
    const layerOf = openLayerSearch(placed);
    for (const { path, layer, hiddenBy, value } of placed) {
      const fact = hiddenBy === undefined ? readPackageFact(value) : undefined;
      if (fact?.kind === 'unread') unread.push({ path, layer, why: fact.why });
      else if (fact !== undefined) found.push({ ...fact, path, layer: layerOf(path, fact), ownedBy: '' });
    }
  }
  const owners = ownersOf(image, found);
  const licences = copyrightLicences(image);
  const packages = found.map((each) => {
    if (each.type === 'deb') return withLicence(each, licences.get(each.name));
    const owner = owners.get(mergedPath(each.path));
    return owner === undefined || owner === each.name ? each : { ...each, ownedBy: owner };
  });
  return { distribution: distributionOf(image), packages, unread, unlinked: unlinkedPackages(image, filesOf(image)) };
}

function withLicence(found: InstalledPackage, said: CopyrightLicence | undefined): InstalledPackage {
  if (said === undefined) return found;
  return said.isConcluded ? { ...found, concludedLicence: said.licence } : { ...found, licence: said.licence };
}

/** The lowest layer from which on each version of the file has the package. */
function openLayerSearch(placed: readonly PlacedFact[]): (path: string, fact: PackageFact) => number {
  const layersOfPath = new Map<string, Set<number>>();
  const has = new Set<string>();
  for (const { path, layer, value } of placed) {
    const layers = layersOfPath.get(path) ?? new Set();
    layers.add(layer);
    layersOfPath.set(path, layers);
    const fact = readPackageFact(value);
    if (fact?.kind === 'package') has.add(keyOf(path, layer, fact));
  }
  return (path, fact) => {
    const layers = [...(layersOfPath.get(path) ?? [])].toSorted((one, other) => other - one);
    let lowest = layers[0] ?? 0;
    for (const layer of layers) {
      if (!has.has(keyOf(path, layer, fact))) break;
      lowest = layer;
    }
    return lowest;
  };
}

function keyOf(path: string, layer: number, { name, version, architecture }: PackageFact): string {
  return [path, layer, name, version, architecture].join('\0');
}

/** Of each package of dpkg. */
function filesOf(
  image: InspectedImage,
): ReadonlyMap<string, { readonly libraries: readonly string[]; readonly hasPrograms: boolean }> {
  const files = new Map<string, { readonly libraries: readonly string[]; readonly hasPrograms: boolean }>();
  for (const { hiddenBy, value } of image.facts(dpkgListInspector.id)) {
    if (hiddenBy !== undefined) continue;
    const { name, owns, libraries } = filesFact(value);
    files.set(name, { libraries, hasPrograms: owns.some(isProgram) });
  }
  return files;
}

/** By path: apk and rpm say in their database which files a package has, dpkg in a list of its own. */
function ownersOf(image: InspectedImage, packages: readonly InstalledPackage[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const { name, owns } of packages) for (const path of owns) owners.set(mergedPath(path), name);
  const installed = new Set(packages.filter(({ type }) => type === 'deb').map(({ name }) => name));
  for (const { hiddenBy, value } of image.facts(dpkgListInspector.id)) {
    if (hiddenBy !== undefined) continue;
    const { name, owns } = filesFact(value);
    if (installed.has(name)) for (const path of owns) owners.set(mergedPath(path), name);
  }
  return owners;
}

function filesFact(value: FactValue): {
  readonly name: string;
  readonly owns: readonly string[];
  readonly libraries: readonly string[];
} {
  const paths = (field: string): readonly string[] =>
    listField(value, field).filter((path) => typeof path === 'string');
  return { name: textField(value, 'name'), owns: paths('owns'), libraries: paths('libraries') };
}
