// The descriptor of an OVF package: which disks it has, and which files hold them (DMTF DSP0243 2.1.1, sections 7 and 8).
import { ParseError } from '@ringwall/bytes';
import { xmlElements, type XmlElement } from './xml-elements.ts';

const MAX_DISKS = 1024;

export interface OvfDisk {
  readonly id: string;
  /** As the descriptor writes it: a name in the archive, or a URL that nobody here follows; undefined for an empty disk. */
  readonly file: string | undefined;
  /** Bytes; undefined where the descriptor leaves it to whoever deploys it. */
  readonly capacity: number | undefined;
  /** The URI of its format, as the descriptor claims. */
  readonly format: string;
  /** Another disk of the package that this one lies upon. */
  readonly parent: string | undefined;
  /** What the file is packed with (`gzip`); '' for none. */
  readonly compression: string;
}

export function parseOvf(text: string): OvfDisk[] {
  const files = new Map<string, { readonly href: string; readonly compression: string }>();
  const disks: XmlElement[] = [];
  for (const element of xmlElements(text)) {
    const section = element.path.at(-1);
    if (section === 'References' && element.name === 'File') {
      const { attributes } = element;
      if (attributes.has('chunkSize')) throw new ParseError('unsupported', 'chunkSize', 0, 'of a file in pieces');
      files.set(required(attributes, 'id', 'File'), {
        href: required(attributes, 'href', 'File'),
        compression: attributes.get('compression') ?? '',
      });
    }
    if (section === 'DiskSection' && element.name === 'Disk') disks.push(element);
    if (disks.length > MAX_DISKS) throw new ParseError('limit', 'DiskSection', 0, `more than ${MAX_DISKS} disks`);
  }
  return disks.map(({ attributes }) => {
    const reference = attributes.get('fileRef');
    const file = reference === undefined ? undefined : files.get(reference);
    if (reference !== undefined && file === undefined) {
      throw new ParseError('invalid', 'fileRef', 0, `${JSON.stringify(reference)}, of which no File has the id`);
    }
    return {
      id: required(attributes, 'diskId', 'Disk'),
      file: file?.href,
      capacity: capacityOf(attributes),
      format: attributes.get('format') ?? '',
      parent: attributes.get('parentRef'),
      compression: file?.compression ?? '',
    };
  });
}

function required(attributes: ReadonlyMap<string, string>, name: string, element: string): string {
  const value = attributes.get(name);
  if (value === undefined) throw new ParseError('invalid', name, 0, `is missing from a ${element} of the descriptor`);
  return value;
}

/** In units such as `byte * 2^30`. */
function capacityOf(attributes: ReadonlyMap<string, string>): number | undefined {
  const capacity = required(attributes, 'capacity', 'Disk');
  if (/^\$\{.*\}$/.test(capacity)) return undefined;
  const units = attributes.get('capacityAllocationUnits') ?? 'byte';
  const exponent = /^byte(?:s)?(?:\s*\*\s*2\^(\d{1,2}))?$/i.exec(units.trim());
  const bytes = Number(capacity) * 2 ** Number(exponent?.[1] ?? '0');
  if (exponent === null || !/^\d{1,16}$/.test(capacity) || !Number.isSafeInteger(bytes)) {
    throw new ParseError('invalid', 'capacity', 0, `${capacity} times ${units}, expected bytes up to 2^53`);
  }
  return bytes;
}
