import { expect, it } from 'vitest';
import { failed, makeScene } from '../testing/scene.ts';

it('accepts honest evidence', async () => {
  const scene = await makeScene();
  const judgement = await scene.judge(await scene.evidence());
  expect(failed(judgement)).toEqual([]);
});
