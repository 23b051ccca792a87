// A bill of materials of an image, before it is written as CycloneDX or SPDX: what is installed, each with a reference that
// no other has. The same image gives the same bytes, so that two bills can be compared.
import type { ImagePackages, InstalledPackage } from '../packages/installed-packages.ts';
import { renderPurl } from '../packages/purl.ts';

export interface SbomSubject {
  /** As it was asked for: `docker.io/library/nginx:1.25`, `image.tar`. */
  readonly name: string;
  /** Of its manifest, `sha256:…`. */
  readonly digest: string;
  /** When the image says that it was made; '' where it does not. */
  readonly created: string;
  /** Of its layers, from the base on: packages name theirs. */
  readonly layers: readonly string[];
}

export interface SbomComponent {
  readonly found: InstalledPackage;
  readonly purl: string;
  /** The package URL, with a number where several have it. */
  readonly reference: string;
}

/** Sorted by package URL, then path. */
export function componentsOf({ packages, distribution }: ImagePackages): readonly SbomComponent[] {
  const seen = new Map<string, number>();
  return packages
    .map((found) => ({ found, purl: renderPurl(found, distribution) }))
    .toSorted((one, other) => order(one.purl, other.purl) || order(one.found.path, other.found.path))
    .map(({ found, purl }) => {
      const count = (seen.get(purl) ?? 0) + 1;
      seen.set(purl, count);
      return { found, purl, reference: count === 1 ? purl : `${purl}#${count}` };
    });
}

/** RFC 3339 to the second, in UTC; the beginning of 1970 where the image says nothing that is a time. */
export function createdOf({ created }: SbomSubject): string {
  const milliseconds = Date.parse(created);
  const time = Number.isNaN(milliseconds) ? 0 : milliseconds;
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}

/** By code unit: a locale would make it differ from host to host. */
function order(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
