import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pathsOf } from './services/paths.ts';
import { quoteWord, renderUnits } from './systemd-units.ts';

const units = renderUnits(pathsOf({}), {
  kind: 'bundles',
  node: '/usr/bin/node',
  directory: '/var/lib/ringwall/runtime/0123456789abcdef',
  id: '0123456789abcdef',
});

describe('renderUnits()', () => {
  it('is what a reviewer has read', async () => {
    const text = units.map(({ path, content }) => `### ${path}\n${content}`).join('\n');
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, 'fixtures/systemd-units.txt'));
  });

  it('lets machines outlive their warden', () => {
    expect(units.find(({ path }) => path.endsWith('warden.service'))?.content).toContain('KillMode=process');
  });
});

describe('quoteWord()', () => {
  it.each([
    ['/usr/bin/node', '/usr/bin/node'],
    ['/srv/my state', '"/srv/my state"'],
    ['/srv/100%', '/srv/100%%'],
    ['/srv/$HOME', '/srv/$$HOME'],
    ['a"b\\c\nd', '"a\\"b\\\\c\\nd"'],
    ["it's", `"it's"`],
    ['', '""'],
    [';', '";"'],
  ])('of %j is %s', (word, quoted) => {
    expect(quoteWord(word)).toBe(quoted);
  });
});
