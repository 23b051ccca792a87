import { describe, expect, it } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { runCli } from './testing/harness.ts';

describe('an image that another Ringwall has built', () => {
  it.each([['images'], ['run', 'hello']])('is told by %s', async (...argv) => {
    await using api = await FakeApi.start();
    expect((await runCli(api, argv)).all).not.toContain('another version');
    for (const image of api.images) image.outdated = image.built;
    const again = await runCli(api, argv[0] === 'run' ? [...argv, '--name', 'second'] : argv);
    expect(again.code).toBe(0);
    expect(again.all).toContain('hello was built by another version of Ringwall');
    expect(again.all).toContain('ringwall images build hello --rebuild');
  });
});
