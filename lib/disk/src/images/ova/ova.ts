// OVA: a tar archive with an OVF descriptor first, then what it refers to (DMTF DSP0243 2.1.1, section 5). It is read in place:
// each disk is a window of the archive, which openImage() takes.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { hasTarHeader, tarFiles, type TarFile } from './tar.ts';
import { parseOvf, type OvfDisk } from './ovf.ts';

/** Those of appliances with dozens of disks have below 200 KiB. */
const MAX_TEXT_BYTES = 4 * 2 ** 20;
const DIGEST = /^(SHA1|SHA256|SHA512)\s?\((.+)\)\s?=\s?([\da-fA-F]+)\s*$/;

export interface OvaFile {
  readonly name: string;
  readonly size: number;
  readonly source: ByteSource;
}

export interface OvaDisk extends OvfDisk {
  /** The image in the archive; undefined where the descriptor names none that is there. */
  readonly source: ByteSource | undefined;
}

/** What the manifest says a file's digest is. Nothing has compared it yet. */
export interface ManifestDigest {
  readonly file: string;
  readonly algorithm: 'SHA1' | 'SHA256' | 'SHA512';
  readonly hex: string;
}

export interface Ova {
  /** In the order in which they lie in the archive. */
  readonly files: readonly OvaFile[];
  readonly descriptor: string;
  readonly disks: readonly OvaDisk[];
  readonly digests: readonly ManifestDigest[];
  /** Whether a certificate is there; nothing has judged it. */
  readonly signed: boolean;
}

export function recogniseOva(source: ByteSource): boolean {
  if (!hasTarHeader(source)) return false;
  try {
    const first = tarFiles(source).next();
    return first.done !== true && first.value.name.endsWith('.ovf');
  } catch (error) {
    if (error instanceof ParseError) return false;
    throw error;
  }
}

export function openOva(source: ByteSource): Ova {
  const files = [...tarFiles(source)];
  const [first] = files;
  if (first === undefined || !first.name.endsWith('.ovf')) {
    throw new ParseError(
      'invalid',
      'tar name',
      0,
      `${JSON.stringify(first?.name)}, expected the descriptor, *.ovf, first`,
    );
  }
  const descriptor = textOf(first);
  const manifest = files.find(({ name }) => name.endsWith('.mf'));
  return {
    files: files.map(({ name, size, source: contents }) => ({ name, size, source: contents })),
    descriptor,
    disks: parseOvf(descriptor).map((disk) => {
      return { ...disk, source: files.find(({ name }) => name === disk.file)?.source };
    }),
    digests: manifest === undefined ? [] : parseManifest(textOf(manifest), manifest.offset),
    signed: files.some(({ name }) => name.endsWith('.cert')),
  };
}

function textOf({ name, size, source, offset }: TarFile): string {
  if (size > MAX_TEXT_BYTES) {
    throw new ParseError('limit', 'tar size', offset, `${size} of ${name}, expected at most ${MAX_TEXT_BYTES}`);
  }
  return new TextDecoder().decode(source.read(0, size));
}

function parseManifest(text: string, offset: number): ManifestDigest[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, algorithm, file = '', hex = ''] = DIGEST.exec(line) ?? [];
      if (algorithm !== 'SHA1' && algorithm !== 'SHA256' && algorithm !== 'SHA512') {
        throw new ParseError(
          'invalid',
          'manifest',
          offset,
          `line ${JSON.stringify(line.slice(0, 80))}, expected SHA256(file)= digest`,
        );
      }
      return { file, algorithm, hex: hex.toLowerCase() };
    });
}
