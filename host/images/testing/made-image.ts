// Images that no tool would build: archives and layouts written byte by byte, as an attacker would.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BLOCK_BYTES = 512;

export interface MadeLayer {
  readonly packed: Buffer;
  /** Of what it unpacks to. */
  readonly diffId: string;
}

export function layerOf(tar: Buffer, pack: (tar: Buffer) => Buffer): MadeLayer {
  return { packed: pack(tar), diffId: digestOf(tar) };
}

export function tarFile(name: string, content: Buffer | string, typeflag = '0'): Buffer {
  const bytes = Buffer.from(content);
  const padding = Buffer.alloc((BLOCK_BYTES - (bytes.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return Buffer.concat([tarHeader(name, bytes.length, typeflag), bytes, padding]);
}

/** For the entry that follows. */
export function paxHeader(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    const length = rest + String(rest + String(rest).length).length;
    return `${String(length)} ${key}=${value}\n`;
  });
  return tarFile('pax', lines.join(''), 'x');
}

export function tarHeader(name: string, bytes: number, typeflag = '0'): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(name, 0, 100);
  header.write('0000644\x000000000\x000000000\0', 100);
  header.write(`${bytes.toString(8).padStart(11, '0')}\x0000000000000\0        ${typeflag}`, 124);
  header.write('ustar\x0000', 257);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** `config` beside what names the layers. */
export function writeMadeLayout(
  folder: string,
  layers: readonly MadeLayer[],
  config: Readonly<Record<string, unknown>> = {},
): void {
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  const written = new Map<Buffer | string, { readonly digest: string; readonly size: number }>();
  const put = (bytes: Buffer | string): { readonly digest: string; readonly size: number } => {
    const known = written.get(bytes);
    if (known !== undefined) return known;
    const content = { digest: digestOf(bytes), size: Buffer.byteLength(bytes) };
    writeFileSync(join(folder, 'blobs/sha256', content.digest.slice('sha256:'.length)), bytes);
    written.set(bytes, content);
    return content;
  };
  const kept = put(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { diff_ids: layers.map(({ diffId }) => diffId) },
      ...config,
    }),
  );
  const manifest = put(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...kept },
      layers: layers.map(({ packed }) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...put(packed) })),
    }),
  );
  const named = { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest };
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
}

function digestOf(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
