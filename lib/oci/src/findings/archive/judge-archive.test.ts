import { describe, expect, it } from 'vitest';
import { judgeMade, type MadeFile } from '../../../testing/make-image.ts';
import { judgeArchive } from './judge-archive.ts';

const told = (...layers: Readonly<Record<string, MadeFile>>[]): string[] =>
  judgeMade({ layers, inspectors: [] }, [judgeArchive]).map(
    ({ rule, severity, path, layer }) => `${severity} ${rule} ${path}@${layer}`,
  );
const link = (target: string): MadeFile => ({ type: 'symlink', target });

describe('judgeArchive()', () => {
  it('says nothing about an honest image', () => {
    expect(
      told(
        { 'usr/': '', bin: link('usr/bin'), 'usr/bin/': '', 'usr/bin/sh': 'x', 'var/run': link('/run') },
        { 'bin/x': 'y' },
      ),
    ).toEqual([]);
  });

  it('names paths, links and devices that lead out', () => {
    expect(
      told({
        'etc/cron.d/x': { hazards: ['outside'], content: '* * * * *' },
        a: { type: 'hardlink', target: '../../etc/shadow', hazards: ['link-outside'] },
        b: { type: 'symlink', target: '../../../x', hazards: ['link-outside'] },
        'dev/null': { type: 'character-device', hazards: ['device'] },
        'dev/mem': { type: 'character-device', hazards: ['device'] },
        'dev/sda': { type: 'block-device', hazards: ['device'] },
      }),
    ).toEqual([
      'critical archive-path-outside etc/cron.d/x@0',
      'high archive-link-outside a@0',
      'medium archive-device dev/sda@0',
      'low archive-link-outside b@0',
      'info archive-device dev/mem@0',
    ]);
  });

  it('names what is written through a link of its own layer, and of one below', () => {
    expect(told({ out: link('/etc'), 'out/cron.d/x': 'y' })).toEqual(['critical archive-through-link out/cron.d/x@0']);
    expect(told({ out: link('/etc') }, { 'out/x': 'y' })).toEqual(['medium archive-through-link out/x@1']);
    expect(told({ out: link('/'), h: { type: 'hardlink', target: 'out/etc/shadow' } })).toEqual([
      'critical archive-through-link h@0',
    ]);
  });

  it('counts what it does not list', () => {
    const files = Object.fromEntries(
      Array.from({ length: 150 }, (_, at): [string, MadeFile] => [`x${at}`, { hazards: ['outside'] }]),
    );
    const findings = judgeMade({ layers: [files], inspectors: [] }, [judgeArchive]);
    expect(findings.length).toBe(100);
    expect(findings.at(-1)?.message).toContain('and 50 more');
  });
});
