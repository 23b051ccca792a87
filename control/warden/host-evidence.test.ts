import { equalBytes, fromHex, utf8 } from '@ringwall/bytes';
import { hostIdOf, keyOfCa, vtpmCaQualifyingData } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeLog, event } from '../../lib/evidence/testing/event-log.ts';
import { makeScene } from '../../lib/evidence/testing/scene.ts';
import { makeCa } from '../../lib/evidence/testing/vtpm-ca.ts';
import type { HostTpmQuestion } from './parts.ts';
import { ask, needsRoot, Scene } from './testing/scene.ts';

const NONCE = 'ab'.repeat(32);
const LONG_LOG = encodeLog(Array.from({ length: 513 }, () => event(1, 5, new Uint8Array(32))));

describe.skipIf(needsRoot)(`the host’s own evidence${needsRoot ? ' (skipped: needs root)' : ''}`, () => {
  let scene: Scene;
  let ca: Uint8Array;
  beforeEach(async () => {
    scene = new Scene();
    ca = (await makeCa()).der;
    scene.host.caCertificates = [ca];
  });
  afterEach(() => scene.end());

  test('a host without a TPM says who it is and what it lacks, and answers no question', async () => {
    const warden = await scene.openWarden();
    expect(await ask<'host-identity'>(warden, { op: 'host-identity' })).toEqual({
      host: await hostIdOf(ca),
      vtpmCa: Buffer.from(ca).toString('base64'),
      lacks: 'this host has no TPM of its own',
    });
    await expect(
      ask<'host-evidence'>(warden, { op: 'host-evidence', nonce: NONCE, pcrs: [0, 10] }),
    ).rejects.toMatchObject({ code: 'host-lacks' });
    const reference = { op: 'host-reference', everything: false } as const;
    await expect(ask<'host-reference'>(warden, reference)).rejects.toMatchObject({ code: 'host-lacks' });
  });

  test('the quote is made for the nonce and for its own CA, which no request can name', async () => {
    const asked: HostTpmQuestion[] = [];
    scene.host.hostTpm = {
      identity: { ekCertificate: new Uint8Array(), ekPublic: Uint8Array.of(1), akPublic: Uint8Array.of(2) },
      answer: async (question) => {
        asked.push(question);
        const [quote, quoteSignature, eventLog, imaLog] = [1, 2, 3, 4].map((byte) => Uint8Array.of(byte));
        const none = new Uint8Array();
        return {
          quote: quote ?? none,
          quoteSignature: quoteSignature ?? none,
          eventLog: eventLog ?? none,
          imaLog: imaLog ?? none,
          opened: question.credential === undefined ? undefined : Uint8Array.of(5),
        };
      },
    };
    const warden = await scene.openWarden();
    const credential = { idObject: 'AQ==', encryptedSecret: 'Ag==' };
    const answer = await ask<'host-evidence'>(warden, { op: 'host-evidence', nonce: NONCE, pcrs: [0, 10], credential });
    expect(answer).toEqual({ quote: 'AQ==', quoteSignature: 'Ag==', eventLog: 'Aw==', imaLog: 'BA==', opened: 'BQ==' });
    const expected = await vtpmCaQualifyingData({
      nonce: fromHex(NONCE),
      host: await hostIdOf(ca),
      spki: keyOfCa(ca),
    });
    const [question] = asked;
    expect(question?.pcrs).toEqual([0, 10]);
    expect(question !== undefined && equalBytes(question.qualifyingData, expected)).toBe(true);
    expect(question?.credential).toEqual({ idObject: Uint8Array.of(1), encryptedSecret: Uint8Array.of(2) });
  });

  test.each<[what: string, eventLog: Uint8Array, code: string, says: string]>([
    ['a boot log that cannot be read', utf8('no log'), 'conflict', 'what this host is cannot be written down'],
    ['a boot of more events than a reference holds', LONG_LOG, 'too-large', '513 events, at most 512'],
  ])('%s ends with a reason, and not as a defect', async (_what, eventLog, code, says) => {
    scene.host.hostTpm = {
      identity: { ekCertificate: new Uint8Array(), ekPublic: Uint8Array.of(1), akPublic: await akPublic() },
      answer: () => Promise.reject(new Error('nobody asks')),
      eventLog,
    };
    const warden = await scene.openWarden();
    const asked = ask<'host-reference'>(warden, { op: 'host-reference', everything: false });
    await expect(asked).rejects.toMatchObject({ code, message: expect.stringContaining(says) });
  });
});

async function akPublic(): Promise<Uint8Array> {
  return (await (await makeScene()).evidence({})).akPublic;
}
