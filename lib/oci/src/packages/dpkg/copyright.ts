// What Debian's packages say of their licences: `/usr/share/doc/PACKAGE/copyright`, as fields ("Machine-readable debian/copyright
// file", version 1.0, DEP-5) or as free text, of which only what is usual is recognised. The words of Debian become those of SPDX
// where both mean the same.
import { numberField, textField } from '../../findings/fact-fields.ts';
import type { InspectedImage } from '../../inspection/inspected-image.ts';
import type { Inspector } from '../../inspection/inspector.ts';

/** Those of whole distributions of TeX have 400 KiB, nearly all others less than 50; of a longer one the beginning is read. */
const MAX_COPYRIGHT_BYTES: number = 256 * 1024;
/** Browsers name some 60. */
const MAX_LICENCES = 64;
const MAX_NAME_CHARACTERS = 120;
const COPYRIGHT = /^usr\/share\/doc\/(?<name>[a-z\d][a-z\d+.-]{0,100})\/copyright$/;
const FORMAT = /^Format(?:-Specification)?:\s*https?:\/\/\S*(?:copyright-format|dep5|dep-5)/im;

export interface CopyrightLicence {
  /** An expression of SPDX, or words. */
  readonly licence: string;
  /** True where we read it out of free text. */
  readonly isConcluded: boolean;
}

export const copyrightInspector: Inspector = {
  id: 'dpkg-copyright/1',
  wants: ({ type, path, bytes }) =>
    type === 'file' && COPYRIGHT.test(path) ? Math.min(bytes, MAX_COPYRIGHT_BYTES) : undefined,
  inspect: ({ path }, bytes) => {
    const name = COPYRIGHT.exec(path)?.groups?.['name'] ?? '';
    const { licence, isConcluded } = parseCopyright(new TextDecoder().decode(bytes));
    return licence === '' ? [] : [{ name, licence, concluded: isConcluded ? 1 : 0 }];
  },
};

/** Of each package that a container sees; packages of one source share a folder by links. */
export function copyrightLicences(image: InspectedImage): ReadonlyMap<string, CopyrightLicence> {
  const licences = new Map<string, CopyrightLicence>();
  for (const { hiddenBy, value } of image.facts(copyrightInspector.id)) {
    if (hiddenBy !== undefined) continue;
    const isConcluded = numberField(value, 'concluded') === 1;
    licences.set(textField(value, 'name'), { licence: textField(value, 'licence'), isConcluded });
  }
  if (licences.size === 0) return licences;
  for (const { entry } of image.visible) {
    if (entry.type !== 'symlink') continue;
    const name = /^usr\/share\/doc\/(?<name>[^/]+)(?:\/copyright)?$/.exec(entry.path)?.groups?.['name'];
    const target = /^(?:(?:\.\.|\/usr\/share\/doc)\/)?(?<target>[^/]+)(?:\/copyright)?$/.exec(entry.target);
    const shared = licences.get(target?.groups?.['target'] ?? '');
    if (name !== undefined && shared !== undefined && !licences.has(name)) licences.set(name, shared);
  }
  return licences;
}

export function parseCopyright(text: string): CopyrightLicence {
  if (FORMAT.test(text.slice(0, 2000))) {
    const said = licencesOfFields(text);
    if (said.length > 0) return { licence: joined(said), isConcluded: false };
  }
  return { licence: joined(licencesOfText(text)), isConcluded: true };
}

/** The first line of `License` in each paragraph about files; how Debian packed it is not what runs. */
function licencesOfFields(text: string): readonly string[] {
  const found = new Set<string>();
  for (const paragraph of text.split(/\n[ \t]*\n/)) {
    const files = /^Files:[ \t]*(?<files>[^\n]*)/im.exec(paragraph)?.groups?.['files'];
    const said = /^License:[ \t]*(?<said>[^\n]*)/im.exec(paragraph)?.groups?.['said']?.trim() ?? '';
    if (files === undefined || said === '' || /^debian\/\S*$/.test(files.trim())) continue;
    found.add(spdxOf(said.slice(0, MAX_NAME_CHARACTERS)));
    if (found.size >= MAX_LICENCES) break;
  }
  return [...found];
}

/** Of DEP-5, section 7.1 and its list of short names; `and` binds more than `or` in both languages. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  expat: 'MIT',
  mit: 'MIT',
  'bsd-2-clause': 'BSD-2-Clause',
  'bsd-3-clause': 'BSD-3-Clause',
  'bsd-4-clause': 'BSD-4-Clause',
  'apache-2': 'Apache-2.0',
  artistic: 'Artistic-1.0',
  'artistic-2': 'Artistic-2.0',
  cc0: 'CC0-1.0',
  zlib: 'Zlib',
  isc: 'ISC',
  perl: 'GPL-1.0-or-later OR Artistic-1.0-Perl',
  'psf-2': 'PSF-2.0',
  'python-2': 'Python-2.0',
};

function spdxOf(said: string): string {
  // Commas group, and `with` names an exception in words: left as Debian says them.
  if (/,|\bwith\b/i.test(said)) return said;
  return said
    .split(/\s+/)
    .map((word) => (/^(?:and|or)$/i.test(word) ? word.toUpperCase() : spdxName(word)))
    .join(' ');
}

function spdxName(name: string): string {
  const gnu = /^(?<kind>A?GPL|LGPL|GFDL)-(?<major>\d)(?:\.(?<minor>\d))?(?<later>\+)?$/i.exec(name)?.groups;
  if (gnu !== undefined) {
    const version = `${gnu['major'] ?? ''}.${gnu['minor'] ?? '0'}`;
    return `${(gnu['kind'] ?? '').toUpperCase()}-${version}-${gnu['later'] === undefined ? 'only' : 'or-later'}`;
  }
  return SHORT_NAMES[name.toLowerCase()] ?? name;
}

/** What free text names by the file of its words, and words that are always the same. */
const TEXTS: readonly (readonly [licence: string, pattern: RegExp])[] = [
  ['MIT', /Permission is hereby granted, free of charge, to any person obtaining\s+a copy/],
  [
    'BSD-3-Clause',
    /Redistribution and use in source and binary forms[^]{0,1500}(?:Neither the name|The names? of [^\n]{1,80} may not be used)/,
  ],
  [
    'ISC',
    /Permission to use, copy, modify,? and(?:\/or)? distribute this software for any\s+purpose with or without\s+fee/,
  ],
  ['Zlib', /This software is provided 'as-is', without any express or implied/],
];

function licencesOfText(text: string): readonly string[] {
  const plain = text.replaceAll(/^[ \t]*(?:\*|#|;|\|)[ \t]?/gm, '').replaceAll(/[ \t]*\n[ \t]*/g, '\n');
  const words = plain.replaceAll(/\s+/g, ' ');
  const isLater = /any later version/i.test(words);
  const found = new Set<string>();
  for (const match of words.matchAll(/\/usr\/share\/common-licenses\/(?<name>[A-Z][A-Za-z]{0,10}(?:-\d(?:\.\d)?)?)/g)) {
    const name = match.groups?.['name'] ?? '';
    if (name === 'BSD') found.add('BSD-3-Clause');
    else if (/^(?:A?GPL|LGPL|GFDL)-\d/.test(name)) found.add(spdxName(isLater ? `${name}+` : name));
    else if (/-\d|^Artistic$/.test(name)) found.add(spdxName(name));
    if (found.size >= MAX_LICENCES) break;
  }
  for (const [licence, pattern] of TEXTS) if (pattern.test(words)) found.add(licence);
  return [...found];
}

function joined(licences: readonly string[]): string {
  if (licences.length === 1) return licences[0] ?? '';
  return licences.map((licence) => (/ OR /.test(licence) ? `(${licence})` : licence)).join(' AND ');
}
