import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import { describeLayers, parseImageConfig } from './config.ts';
import { parseDockerArchive } from './docker-archive.ts';
import { MAX_DOCUMENT_BYTES } from './json.ts';
import { choosePlatform, MANIFEST_TYPES, parseManifest, parsePlatform, type ImageIndex } from './manifest.ts';

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const bytesOf = (document: unknown): Uint8Array =>
  new TextEncoder().encode(typeof document === 'string' ? document : JSON.stringify(document));
const CONFIG = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest('c'), size: 10 };
const LAYER = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digest('a'), size: 20 };
const MANIFEST = { schemaVersion: 2, config: CONFIG, layers: [LAYER] };
const entry = (os: string, architecture: string, variant?: string): object => ({
  mediaType: MANIFEST_TYPES[2],
  digest: digest(architecture === 'amd64' ? '1' : '2'),
  size: 5,
  platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
});
const indexOf = (...manifests: object[]): ImageIndex => {
  const parsed = parseManifest(bytesOf({ schemaVersion: 2, manifests }));
  if (parsed.kind !== 'index') throw new Error('is no index');
  return parsed;
};

describe('parseManifest()', () => {
  it('reads manifests of OCI and of Docker', () => {
    expect(parseManifest(bytesOf(MANIFEST))).toMatchObject({ kind: 'manifest', layers: [{ size: 20 }] });
    const docker = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPES[3],
      config: { ...CONFIG, mediaType: 'application/vnd.docker.container.image.v1+json' },
      layers: [{ ...LAYER, mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }],
    };
    expect(parseManifest(bytesOf(docker)).kind).toBe('manifest');
  });

  it.each<[what: string, document: unknown, message: string]>([
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, 'schema 1'],
    ['schema 1 that says 2', { schemaVersion: 2, fsLayers: [] }, 'schema 1'],
    ['what is both', { ...MANIFEST, manifests: [] }, 'a manifest and an index at once'],
    [
      'an index that says it is a manifest',
      { schemaVersion: 2, mediaType: MANIFEST_TYPES[2], manifests: [] },
      'and is not',
    ],
    ['a manifest that says it is an index', { ...MANIFEST, mediaType: MANIFEST_TYPES[0] }, 'and is not'],
    ['no schema', { ...MANIFEST, schemaVersion: 3 }, 'no known schema'],
    [
      'what is no image',
      { ...MANIFEST, config: { ...CONFIG, mediaType: 'application/vnd.cncf.helm.config.v1+json' } },
      'of no image',
    ],
    [
      'layers elsewhere',
      { ...MANIFEST, layers: [{ ...LAYER, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }] },
      'cannot be judged',
    ],
    ['a path as digest', { ...MANIFEST, config: { ...CONFIG, digest: 'sha256:../../etc/passwd' } }, ''],
    ['a size below zero', { ...MANIFEST, layers: [{ ...LAYER, size: -1 }] }, 'without a size'],
    ['a size that is no number', { ...MANIFEST, layers: [{ ...LAYER, size: '20' }] }, 'without a size'],
    ['layers that are none', { ...MANIFEST, layers: [null] }, 'no object'],
    ['a thousand layers', { ...MANIFEST, layers: Array.from({ length: 1000 }, () => LAYER) }, 'more than 512 layers'],
    ['no JSON', '{', 'no JSON'],
    ['a list', [], 'no JSON object'],
    ['too much', ' '.repeat(MAX_DOCUMENT_BYTES + 1), 'at most'],
  ])('refuses %s', (_what, document, message) => {
    const parse = (): unknown => parseManifest(bytesOf(document));
    expect(parse).toThrow(OciError);
    expect(parse).toThrow(message);
  });
});

describe('choosePlatform()', () => {
  const amd64 = parsePlatform('linux/amd64');

  it('takes the one for this platform, and no attestation', () => {
    const index = indexOf(entry('unknown', 'unknown'), entry('linux', 'arm64', 'v8'), entry('linux', 'amd64'));
    expect(choosePlatform(index, amd64).digest).toBe(digest('1'));
    expect(choosePlatform(index, parsePlatform('linux/arm64')).digest).toBe(digest('2'));
    expect(() => choosePlatform(index, parsePlatform('linux/s390x'))).toThrow('it has linux/arm64/v8, linux/amd64');
    expect(() => choosePlatform(index, parsePlatform('linux/arm64/v9'))).toThrow('has no image for linux/arm64/v9');
  });

  it.each(['linux', '', 'a/b/c/d', '/amd64'])('refuses “%s” as a platform', (text) => {
    expect(() => parsePlatform(text)).toThrow(OciError);
  });
});

describe('parseImageConfig()', () => {
  const config = (changes: object = {}): Uint8Array =>
    bytesOf({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: [digest('a'), digest('b')] },
      history: [{ created_by: 'ADD x' }, { created_by: 'ENV a=b', empty_layer: true }, { created_by: 'RUN y' }],
      ...changes,
    });

  it('says which instruction wrote each layer', () => {
    const parsed = parseImageConfig(config());
    expect(describeLayers([digest('1'), digest('2')], parsed).map(({ createdBy }) => createdBy)).toEqual([
      'ADD x',
      'RUN y',
    ]);
  });

  it('blames no instruction where the history does not fit', () => {
    const parsed = parseImageConfig(config({ history: [{ created_by: 'ADD x' }] }));
    expect(describeLayers([digest('1'), digest('2')], parsed).map(({ createdBy }) => createdBy)).toEqual(['', '']);
  });

  it('refuses a configuration of other layers', () => {
    expect(() => describeLayers([digest('1')], parseImageConfig(config()))).toThrow(
      'names 2 layers, and the image has 1',
    );
  });

  it.each([
    { config: [] },
    { config: { Env: [1] } },
    { config: { Labels: { a: 1 } } },
    { history: {} },
    { rootfs: { diff_ids: ['x'] } },
  ])('refuses %j', (changes) => {
    expect(() => parseImageConfig(config(changes))).toThrow(OciError);
  });

  it('knows a health check that is switched off', () => {
    const has = (Healthcheck: unknown): boolean =>
      parseImageConfig(config({ config: { Healthcheck } })).config.hasHealthcheck;
    expect([has({ Test: ['CMD', 'x'] }), has({ Test: ['NONE'] }), has(undefined)]).toEqual([true, false, false]);
  });
});

describe('parseDockerArchive()', () => {
  it.each(['{}', '[1]', '[{"Layers":"x"}]', '[{"RepoTags":[1]}]'])('refuses %s', (text) => {
    expect(() => parseDockerArchive(bytesOf(text))).toThrow(OciError);
  });

  it('takes an image without a name', () => {
    expect(parseDockerArchive(bytesOf('[{"Config":"c","RepoTags":null,"Layers":["l"]}]'))).toEqual([
      { config: 'c', layers: ['l'], repoTags: [] },
    ]);
  });
});
