// Images are built once, shared by who asks, and put in place as a whole.
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failing, type FakeHost } from './testing/fake-parts.ts';
import { ask, buildHello, CALL, needsRoot, Scene } from './testing/scene.ts';
import type { WardenCall } from './warden.ts';

let scene: Scene;
let host: FakeHost;
beforeEach(() => {
  scene = new Scene();
  ({ host } = scene);
});
afterEach(() => scene.end());

describe.skipIf(needsRoot)('build-image', () => {
  it('is shared by two who ask, and done once', async () => {
    const warden = await scene.openWarden();
    const steps: string[] = [];
    const asking = (name: string): WardenCall => ({
      ...CALL,
      progress: ({ step }) => void steps.push(`${step} for ${name}`),
    });
    const [a, b] = await Promise.all([
      warden.handle({ op: 'build-image', image: 'hello' }, asking('one')),
      warden.handle({ op: 'build-image', image: 'hello' }, asking('two')),
    ]);
    expect(a).toEqual(b);
    expect(host.calls.filter((effect) => effect.startsWith('images.build'))).toHaveLength(1);
    expect(steps).toEqual(['building for one', 'building for two']);
    expect(statSync(join(host.layout.images, 'hello')).mode & 0o777).toBe(0o755);
  });

  it('returns at once where the image is there, and builds anew when told to', async () => {
    const warden = await scene.openWarden();
    await buildHello(warden);
    await buildHello(warden);
    expect(host.calls.filter((effect) => effect.startsWith('images.build'))).toHaveLength(1);
    await ask<'build-image'>(warden, { op: 'build-image', image: 'hello', rebuild: true });
    expect(host.calls.filter((effect) => effect.startsWith('images.build'))).toHaveLength(2);
  });

  it('leaves the image before it where the builder fails', async () => {
    const warden = await scene.openWarden();
    await buildHello(warden);
    host.before = failing('images.build hello', new RingwallError('image-failed', 'broken'));
    await expect(
      ask<'build-image'>(warden, { op: 'build-image', image: 'hello', rebuild: true }),
    ).rejects.toMatchObject({ code: 'image-failed' });
    expect(readdirSync(host.layout.images)).toEqual(['hello']);
  });

  it('refuses what a builder left that is no plain file', async () => {
    const warden = await scene.openWarden();
    host.before = (effect) => {
      if (!effect.startsWith('images.build')) return;
      const [staging = ''] = readdirSync(host.layout.images);
      mkdirSync(join(host.layout.images, staging, 'kernel'));
    };
    await expect(buildHello(warden)).rejects.toMatchObject({ code: 'image-failed' });
    expect(readdirSync(host.layout.images)).toEqual([]);
  });

  it('knows only its own list', async () => {
    const warden = await scene.openWarden();
    await expect(ask<'build-image'>(warden, { op: 'build-image', image: 'windows' })).rejects.toMatchObject({
      code: 'image-unknown',
      hint: expect.stringContaining('hello'),
    });
  });
});
