// A host's evidence with every part cut and altered in many places, and a list as long as a list may be.
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeIma, imaNg } from '../../../tpm/testing/ima-list.ts';
import { makeHostScene, type HostScene } from '../../testing/host-scene.ts';
import type { HostEvidence } from './index.ts';

/** Places in each part that are cut at, and altered at. */
const PLACES = 128;

let scene: HostScene;
beforeAll(async () => {
  scene = await makeHostScene();
});

describe('judgeHost()', () => {
  test.each(['akPublic', 'quote', 'quoteSignature', 'eventLog', 'imaLog', 'vtpmCa'] as const)(
    'refuses %s wherever it is cut or altered, and never throws',
    async (name) => {
      const whole = await scene.evidence();
      const outcome = async (changed: Partial<HostEvidence>): Promise<string> =>
        (await scene.judge({}, { evidence: { ...whole, ...changed } })).verdict.outcome;
      const bytes = whole[name];
      // A name in the header of the boot log, or an address that firmware notes, is measured by nobody.
      const altered = name === 'eventLog' ? ['refused', 'accepted'] : ['refused'];
      for (let at = 0; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / PLACES))) {
        expect(await outcome({ [name]: bytes.subarray(0, at) }), `cut at ${at}`).toBe('refused');
        expect(altered, `altered at ${at}`).toContain(
          await outcome({ [name]: bytes.with(at, (bytes[at] ?? 0) ^ 0x41) }),
        );
      }
    },
  );

  test('judges a list of a megabyte of which the quote speaks for the first entries only', async () => {
    const others = Array.from({ length: 9_000 }, (_, index) => imaNg(`/usr/lib/program-${index}`));
    const ran = [...scene.booted, ...others];
    expect(encodeIma(...ran).length).toBeGreaterThan(900_000);
    const { verdict } = await scene.judge({ ran, measured: scene.booted });
    expect(verdict).toMatchObject({ outcome: 'accepted', ran: { entries: 4 } });
  });
});
