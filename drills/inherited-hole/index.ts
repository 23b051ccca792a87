// Drill: an image without a fault of its own, built on one whose package has a known hole. Whoever looks only at what they wrote
// builds it again and again, and the hole stays.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import type { Attempt, Drill } from '../drill.ts';
import { scanImage, writeImage, type PlainImage, type PlainLayer } from '../plain/oci-image.ts';

const BASE = 'registry.example/team/base';
const CVE = 'CVE-2026-99999';
const PROGRAM = 'usr/bin/greet';
/** What is said to it, it also runs: until version 2. */
const PROGRAMS: Readonly<Record<'1' | '2', string>> = {
  '1': '#!/bin/sh\neval "echo Hello, $1"\n',
  '2': '#!/bin/sh\necho "Hello, $1"\n',
};
/** As Debian's security tracker has it. */
const FEED = {
  greet: {
    [CVE]: {
      description: 'greet runs what it is told',
      releases: { bookworm: { status: 'resolved', fixed_version: '2', urgency: 'high', repositories: {} } },
    },
  },
};

export const inheritedHole: Drill = {
  name: 'inherited-hole',
  title: 'A hole comes with the image that another is built on',
  adversaries: ['A1', 'A7'],
  story:
    'A package of a base image has a known hole. A team builds on that image, and finds nothing wrong in its own Dockerfile; it builds anew each week, and the layers of the base stay as they were. Somebody uses the hole, long after a newer base has closed it.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker knows what everybody can know of the hole, and can speak to the program that has it.',
  stoppedBy:
    'The scan finds the hole by its package, says which ancestor brought it, and which newer image of that ancestor has it no more.',

  async without({ directory, step }) {
    const base = [baseLayer('1')];
    const built = await writeImage(join(directory, 'first'), [...base, ownLayer('1.0')]);
    const again = await writeImage(join(directory, 'again'), [...base, ownLayer('1.1')]);
    step('the team has built its image anew; the program is told something');
    return [await useHole(built, 'use the hole'), await useHole(again, 'use the hole once the image is built anew')];
  },

  async with({ directory, ringwall, step }) {
    const feed = join(directory, 'tracker.json');
    const advisories = join(directory, 'advisories.db');
    writeFileSync(feed, JSON.stringify(FEED));
    await ringwall.ok('advisories', 'update', feed, '--advisories', advisories);
    step('the base and its newer one are made known');
    for (const [version, day] of [
      ['1', '2026-01-01'],
      ['2', '2026-02-01'],
    ] as const) {
      const created = `${day}T00:00:00Z`;
      // oxlint-disable-next-line no-await-in-loop -- one catalogue
      const { layout } = await writeImage(join(directory, `base-${version}`), [baseLayer(version)], created);
      const name = `${BASE}:${version}`;
      // oxlint-disable-next-line no-await-in-loop -- one catalogue
      await ringwall.ok('image', 'remember', layout, '--name', name, '--advisories', advisories);
    }
    step('the image is scanned before it runs');
    const image = await writeImage(join(directory, 'built'), [baseLayer('1'), ownLayer('1.0')]);
    const { code, findings, remedies } = await scanImage(ringwall, image, '--advisories', advisories);
    const finding = findings.find(({ rule, message }) => rule === 'known-vulnerability' && message.includes(CVE));
    const change = `build on ${BASE}:2 instead of ${BASE}:1`;
    const isTold =
      finding?.inheritedFrom === `${BASE}:1` && remedies.some((remedy) => remedy.change === change) && code !== 0;
    step('it is built as the scan says');
    const mended = await writeImage(join(directory, 'mended'), [baseLayer('2'), ownLayer('1.0')]);
    return [
      {
        what: 'have the image taken for a good one',
        succeeded: !isTold,
        seen: isTold
          ? `refused (exit ${String(code)}): ${finding.message}, inherited from ${BASE}:1; ${change}`
          : `exit ${String(code)}: ${JSON.stringify({ finding, remedies })}`,
      },
      await useHole(mended, 'use the hole once the image is built as the scan says'),
    ];
  },
};

/** Speaks to the program as the container would have it, and leaves a mark where it runs what it is told. */
async function useHole({ root }: PlainImage, what: string): Promise<Attempt> {
  const mark = join(root, 'mark');
  await run(['/bin/sh', join(root, PROGRAM), `you; : >'${mark}'`]);
  const succeeded = existsSync(mark);
  return { what, succeeded, seen: succeeded ? 'the program ran what it was told' : 'the program only said it' };
}

function baseLayer(version: '1' | '2'): PlainLayer {
  return {
    createdBy: `ADD base-${version}.tar /`,
    files: {
      'etc/os-release': 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
      'var/lib/dpkg/status': `Package: greet\nStatus: install ok installed\nArchitecture: all\nVersion: ${version}\n`,
      [PROGRAM]: PROGRAMS[version],
    },
  };
}

function ownLayer(version: string): PlainLayer {
  return { createdBy: 'COPY app /app', files: { 'app/version': version } };
}
