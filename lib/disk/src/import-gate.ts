// Judges an image before anything else opens it: what its header asks for beyond its own bytes, and whether its sizes can be
// true. Other programs follow such wishes: a backing file named /etc/shadow is read by whoever converts the image, with
// their rights. Here every wish is told with its field and value, and refused unless the caller named that very file.
import type { ExternalReference, ImageHeader } from './images/disk-image.ts';

export const IMPORT_REFUSALS = [
  'other-file', // the image needs a file that it was not given with
  'host-path', // the image names a path of the machine that opens it
  'not-a-file', // the image names a device, a socket, or something of a network
  'size', // a disk that nobody has
  'no-disk', // a disk of no bytes
  'encrypted', // its contents cannot be read without a key
] as const;

export type ImportRefusalCode = (typeof IMPORT_REFUSALS)[number];

export interface ImportRefusal {
  readonly code: ImportRefusalCode;
  /** As the format's specification calls it. */
  readonly field: string;
  /** As it stands in the image. */
  readonly value: string;
  /** One sentence for people. */
  readonly reason: string;
}

export interface ImportLimits {
  /** Bytes of the disk as its guest would see it. */
  readonly maxDiskBytes: number;
  /** Names of files that the caller gives along: the parts of a split image, beside it. */
  readonly given?: ReadonlySet<string>;
  readonly hasKey?: boolean;
}

/** 64 TiB: the largest disk of the large clouds. */
export const MAX_IMPORTED_DISK_BYTES: number = 64 * 2 ** 40;

/** Empty where the image may be opened. */
export function judgeImport(header: ImageHeader, limits: ImportLimits): ImportRefusal[] {
  const { references, virtualSize, encryption } = header;
  return [
    ...references.flatMap((reference) => judgeReference(reference, limits.given ?? new Set())),
    ...judgeSize(virtualSize, limits.maxDiskBytes),
    ...(encryption === undefined || limits.hasKey === true
      ? []
      : [
          {
            code: 'encrypted' as const,
            field: 'encryption method',
            value: encryption.method,
            reason: 'its contents are encrypted: give its key or passphrase along',
          },
        ]),
  ];
}

function judgeReference({ kind, name, field }: ExternalReference, given: ReadonlySet<string>): ImportRefusal[] {
  const where = WHERE[kind];
  const told = { field, value: name };
  if (
    /^(?:json|fd|nbd|file|host_device|host_cdrom|blkdebug|blkverify|data|null-co):|^[a-z][a-z0-9+.-]*:\/\//i.test(name)
  ) {
    return [
      { ...told, code: 'not-a-file', reason: `${where} something that is no file: other programs would connect to it` },
    ];
  }
  if (/^[\\/]+(?:dev|proc|sys|run)(?:[\\/]|$)|^\\\\[.?]\\/.test(name)) {
    return [{ ...told, code: 'not-a-file', reason: `${where} a device or a file of the kernel of this host` }];
  }
  if (/^(?:[\\/]|[A-Za-z]:[\\/])/.test(name)) {
    return [
      {
        ...told,
        code: 'host-path',
        reason: `${where} an absolute path: other programs would read that file of this host into the disk`,
      },
    ];
  }
  if (name.split(/[\\/]/).includes('..')) {
    return [{ ...told, code: 'host-path', reason: `${where} a path that leads out of its own directory` }];
  }
  if (given.has(name)) return [];
  return [
    {
      ...told,
      code: 'other-file',
      reason: `${where} another file: give it along if it belongs to the image, or flatten the image where it was made`,
    },
  ];
}

const WHERE: Readonly<Record<ExternalReference['kind'], string>> = {
  backing: 'what it does not hold itself it takes from',
  parent: 'what it does not hold itself it takes from',
  'data-file': 'its contents lie in',
  extent: 'a part of its contents lies in',
};

function judgeSize(virtualSize: number, maxDiskBytes: number): ImportRefusal[] {
  const told = { field: 'size of the disk', value: String(virtualSize) };
  if (virtualSize === 0) return [{ ...told, code: 'no-disk', reason: 'a disk of no bytes holds nothing to import' }];
  if (virtualSize > maxDiskBytes) {
    return [{ ...told, code: 'size', reason: `more than the ${String(maxDiskBytes)} bytes that a disk may have here` }];
  }
  return [];
}
