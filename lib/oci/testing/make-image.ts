// Images for tests, out of a few words: layers of paths and contents, through the same pass as real ones.
import {
  EMPTY_CONFIG,
  type ImageConfig,
  type ImageRule,
  type InspectedImage,
} from '../src/inspection/inspected-image.ts';
import type { Finding } from '../src/inspection/finding.ts';
import { inspectImage, judgeImage } from '../src/inspection/inspect-image.ts';
import { openEntryInspection } from '../src/inspection/inspect-layer.ts';
import type { Inspector, InspectorRoom } from '../src/inspection/inspector.ts';
import type { TarEntry } from '../src/layers/tar-entry.ts';

/** Contents, or an entry in detail; a path that ends in a slash is a folder. */
export type MadeFile = string | Uint8Array | (Partial<TarEntry> & { readonly content?: string | Uint8Array });

export interface MadeImage {
  /** From the base on. */
  readonly layers: readonly Readonly<Record<string, MadeFile>>[];
  readonly createdBy?: readonly string[];
  readonly config?: Partial<ImageConfig>;
  readonly inspectors: readonly Inspector[];
}

/** For an inspector that is alone. */
export const ROOMY: InspectorRoom = { holdLarge: () => undefined, unpack: () => undefined };

export const LINUX_CONFIG: ImageConfig = { ...EMPTY_CONFIG, architecture: 'amd64', os: 'linux' };

export function makeEntry(path: string, changes: Partial<TarEntry> = {}): TarEntry {
  const isFolder = path.endsWith('/');
  return {
    path: isFolder ? path.slice(0, -1) : path,
    type: isFolder ? 'directory' : 'file',
    mode: isFolder ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    userName: '',
    groupName: '',
    bytes: 0,
    modified: 0,
    target: '',
    attributes: new Map(),
    isSparse: false,
    hazards: [],
    ...changes,
  };
}

export function makeImage({ layers, createdBy = [], config = {}, inspectors }: MadeImage): InspectedImage {
  const contents = layers.map((files) => {
    const inspection = openEntryInspection(inspectors);
    for (const [path, file] of Object.entries(files)) {
      const { content = '', ...changes } =
        typeof file === 'string' || file instanceof Uint8Array ? { content: file } : file;
      const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
      inspection.entry(makeEntry(path, { bytes: bytes.length, ...changes }))?.take(bytes);
    }
    return inspection.end();
  });
  const named = layers.map((_, at) => ({
    digest: `sha256:${String(at).padStart(64, '0')}`,
    diffId: `sha256:${String(at).padStart(64, 'f')}`,
    createdBy: createdBy[at] ?? '',
  }));
  return inspectImage({ ...LINUX_CONFIG, ...config }, named, contents);
}

export function judgeMade(made: MadeImage, rules: readonly ImageRule[]): readonly Finding[] {
  return judgeImage(makeImage(made), rules);
}
