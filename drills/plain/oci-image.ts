// Images as a builder would write them: an OCI layout (OCI Image Specification 1.1) of layers packed by tar, and the same layers
// unpacked one upon the other, as a container sees them.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import type { Instance } from '@ringwall/testkit';
import { z } from 'zod';
import type { Attempt } from '../drill.ts';

const TAR = '/usr/bin/tar';
const WHITEOUT = '.wh.';

export interface PlainLayer {
  /** As the history tells it. */
  readonly createdBy: string;
  /** Contents by path; a path whose name begins with `.wh.` deletes. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
}

export interface PlainImage {
  /** The layout, which any tool takes. */
  readonly layout: string;
  /** What a container would see. */
  readonly root: string;
  /** Of each layer its archive, from the base on. */
  readonly archives: readonly string[];
}

/** Equal layers come out equal to the byte. `created` as a builder says it, ISO 8601. */
export async function writeImage(
  directory: string,
  layers: readonly PlainLayer[],
  created: string = '',
): Promise<PlainImage> {
  const layout = join(directory, 'layout');
  const root = join(directory, 'root');
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  mkdirSync(root);
  const put = (bytes: Uint8Array): { digest: string; size: number } => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const archives: string[] = [];
  for (const [index, { files }] of layers.entries()) {
    const folder = join(directory, `layer-${String(index)}`);
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    const archive = `${folder}.tar`;
    // oxlint-disable-next-line no-await-in-loop -- layer upon layer
    await runChecked(run, [
      TAR,
      '--owner=0',
      '--group=0',
      '--sort=name',
      '--mtime=@0',
      '-cf',
      archive,
      '-C',
      folder,
      ...readdirSync(folder),
    ]);
    // oxlint-disable-next-line no-await-in-loop -- layer upon layer
    await runChecked(run, [TAR, '-xf', archive, '-C', root, `--exclude=${WHITEOUT}*`]);
    for (const path of Object.keys(files)) if (path.includes(WHITEOUT)) rmSync(join(root, path.replace(WHITEOUT, '')));
    archives.push(archive);
  }
  const packed = archives.map((archive) => put(readFileSync(archive)));
  const config = put(
    json({
      ...(created === '' ? {} : { created }),
      os: 'linux',
      architecture: 'amd64',
      config: { User: '10001' },
      rootfs: { type: 'layers', diff_ids: packed.map(({ digest }) => digest) },
      history: layers.map(({ createdBy }) => ({ created_by: createdBy })),
    }),
  );
  const manifest = put(
    json({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: packed.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
    }),
  );
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const entry = { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest };
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  return { layout, root, archives };
}

export interface ScanOutcome extends z.infer<typeof reportSchema> {
  readonly code: number;
  readonly stderr: string;
}

/** As whoever decides whether it runs would have it scanned. */
export async function scanImage(
  ringwall: Instance,
  { layout }: PlainImage,
  ...options: readonly string[]
): Promise<ScanOutcome> {
  const { code, stdout, stderr } = await ringwall.cli('image', 'scan', layout, '--json', ...options);
  return { ...reportSchema.parse(JSON.parse(stdout)), code, stderr };
}

const reportSchema = z.object({
  findings: z.array(
    z.object({ rule: z.string(), message: z.string(), layer: z.number().optional(), inheritedFrom: z.string() }),
  ),
  remedies: z.array(z.object({ change: z.string() })),
});

/**
 * The image is put before whoever decides whether it runs. It gets past where the scan does not refuse it, or refuses it
 * without naming `rule` and the layer that brought it.
 */
export async function passScan(
  ringwall: Instance,
  image: PlainImage,
  expected: { readonly rule: string; readonly layer: number; readonly names: string },
): Promise<Attempt> {
  const what = 'have the image taken for a good one';
  const { code, findings, stderr } = await scanImage(ringwall, image);
  const finding = findings.find(
    ({ rule, layer, message }) =>
      rule === expected.rule && layer === expected.layer && message.includes(expected.names),
  );
  if (code !== 0 && finding !== undefined)
    return { what, succeeded: false, seen: `refused (exit ${String(code)}): ${finding.message}` };
  return { what, succeeded: true, seen: `exit ${String(code)}, ${String(findings.length)} other findings ${stderr}` };
}

/** What a look into a container of the image shows. */
export function seesInContainer({ root }: PlainImage, path: string): boolean {
  return existsSync(join(root, path));
}
