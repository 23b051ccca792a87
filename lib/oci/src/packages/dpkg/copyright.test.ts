import { describe, expect, it } from 'vitest';
import { makeImage } from '../../../testing/make-image.ts';
import { isLicenceExpression } from '../../sbom/licence-expression.ts';
import { copyrightInspector, copyrightLicences, parseCopyright } from './copyright.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../../../bytes/testing/processor-time.ts';

const FORMAT = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n';
const fields = (...licences: readonly string[]): string =>
  [FORMAT, ...licences.map((licence) => `Files: *\nCopyright: 2024 somebody\nLicense: ${licence}\n text of it\n`)].join(
    '\n',
  );

describe('parseCopyright()', () => {
  it.each([
    [['GPL-2+'], 'GPL-2.0-or-later'],
    [['LGPL-2.1'], 'LGPL-2.1-only'],
    [['Expat'], 'MIT'],
    [['GPL-2+ or Artistic', 'BSD-3-clause'], '(GPL-2.0-or-later OR Artistic-1.0) AND BSD-3-Clause'],
    [['Expat', 'Expat', 'zlib'], 'MIT AND Zlib'],
    [['GPL-3+ and LGPL-2+'], 'GPL-3.0-or-later AND LGPL-2.0-or-later'],
  ])('says %j in the words of SPDX', (said, licence) => {
    expect(parseCopyright(fields(...said))).toEqual({ licence, isConcluded: false });
    expect(isLicenceExpression(licence)).toBe(true);
  });

  it('leaves what SPDX has no word for as it is said', () => {
    expect(parseCopyright(fields('GPL-2+ with OpenSSL exception')).licence).toBe('GPL-2+ with OpenSSL exception');
    expect(isLicenceExpression(parseCopyright(fields('public-domain', 'Expat')).licence)).toBe(false);
  });

  it('passes over how Debian packed it', () => {
    const text = `${fields('Expat')}\nFiles: debian/*\nLicense: GPL-2+\n`;
    expect(parseCopyright(text).licence).toBe('MIT');
  });

  it.each([
    [
      'either version 2, or (at your option) any later version.\nSee /usr/share/common-licenses/GPL-2.',
      'GPL-2.0-or-later',
    ],
    ["under version 2. See `/usr/share/common-licenses/GPL-2'.", 'GPL-2.0-only'],
    ['Permission is hereby granted, free of charge, to any person obtaining\n * a copy of this software', 'MIT'],
    [
      'on Debian systems in /usr/share/common-licenses/Apache-2.0 and /usr/share/common-licenses/BSD',
      'Apache-2.0 AND BSD-3-Clause',
    ],
    ['nothing that anybody knows', ''],
  ])('concludes from “%s”', (text, licence) => {
    expect(parseCopyright(text)).toEqual({ licence, isConcluded: true });
  });

  it('takes no longer for a text that is made for it', () => {
    const spent = startProcessorClock();
    for (const unit of [
      'Redistribution and use in source and binary forms ',
      'License: \n\n',
      '/usr/share/common-licenses/',
    ])
      parseCopyright(FORMAT + unit.repeat(5000));
    expect(spent()).toBeLessThan(RUNAWAY_MS);
  });
});

it('copyrightLicences() follows links between folders of documents, and sees what a container sees', () => {
  const doc = (name: string): string => `usr/share/doc/${name}/copyright`;
  const image = makeImage({
    inspectors: [copyrightInspector],
    layers: [
      {
        [doc('gcc-12-base')]: fields('GPL-3+'),
        'usr/share/doc/libgcc-s1': { type: 'symlink', target: 'gcc-12-base' },
        [doc('gone')]: fields('Expat'),
      },
      { 'usr/share/doc/gone/.wh.copyright': '' },
    ],
  });
  expect([...copyrightLicences(image)].map(([name, { licence }]) => [name, licence])).toEqual([
    ['gcc-12-base', 'GPL-3.0-or-later'],
    ['libgcc-s1', 'GPL-3.0-or-later'],
  ]);
});
