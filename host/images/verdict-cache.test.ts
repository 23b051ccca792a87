import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EMPTY_CONFIG, type Finding } from '@ringwall/oci';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openVerdictCache, type JudgedImage } from './verdict-cache.ts';

const FINDING: Finding = {
  rule: 'root-user',
  severity: 'low',
  message: 'runs as root',
  fix: 'USER',
  path: '',
  layer: undefined,
  hiddenBy: undefined,
  references: ['CIS 4.1'],
  subject: '',
};
const HIDDEN: Finding = { ...FINDING, rule: 'usual-password', severity: 'critical', layer: 0, hiddenBy: 2 };
const IMAGE: JudgedImage = {
  config: { ...EMPTY_CONFIG, user: 'root' },
  layers: [{ digest: 'sha256:a', diffId: 'sha256:b', createdBy: 'ADD x' }],
};

describe('openVerdictCache()', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringwall-verdicts-'));
    open().put(IMAGE, [HIDDEN, FINDING]);
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const open = (...grounds: string[]): ReturnType<typeof openVerdictCache> =>
    openVerdictCache(folder, ['build 1', '', ...grounds]);

  test('gives a verdict back as it was', () => {
    expect(open().get(IMAGE)).toEqual([HIDDEN, FINDING]);
  });

  test.each<[string, JudgedImage]>([
    ['another user', { ...IMAGE, config: { ...IMAGE.config, user: 'app' } }],
    ['another layer', { ...IMAGE, layers: [{ digest: 'sha256:c', diffId: 'sha256:b', createdBy: 'ADD x' }] }],
    ['another instruction', { ...IMAGE, layers: [{ digest: 'sha256:a', diffId: 'sha256:b', createdBy: 'ADD y' }] }],
    ['the layer twice', { ...IMAGE, layers: [...IMAGE.layers, ...IMAGE.layers] }],
  ])('knows nothing of the image with %s', (_what, image) => {
    expect(open().get(image)).toBeUndefined();
  });

  test('knows nothing where the grounds are others', () => {
    expect(open('advisories of today').get(IMAGE)).toBeUndefined();
  });

  test('keeps nothing of an image with a layer that no digest names', () => {
    const unnamed = { ...IMAGE, layers: [{ digest: '', diffId: '', createdBy: '' }] };
    open().put(unnamed, []);
    expect(open().get(unnamed)).toBeUndefined();
  });

  test('takes a damaged file, and one under the name of another, for none', () => {
    const [name = ''] = readdirSync(folder);
    const whole = readFileSync(join(folder, name));
    for (let at = 0; at < whole.length; at += 1) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
      writeFileSync(join(folder, name), damaged);
      // Some bits of zstd's frame header mean nothing.
      expect([undefined, [HIDDEN, FINDING]]).toContainEqual(open().get(IMAGE));
    }
    open().put({ ...IMAGE, layers: [] }, []);
    const [other = ''] = readdirSync(folder).filter((each) => each !== name);
    writeFileSync(join(folder, name), readFileSync(join(folder, other)));
    expect(open().get(IMAGE)).toBeUndefined();
  });
});
