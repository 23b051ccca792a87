// An answer of a real guest: the hello image under QEMU and swtpm, after a changed busybox was run in it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '@ringwall/bytes';
import { TPM_ALG, WATCHED_PCRS } from '@ringwall/tpm';
import { describe, expect, test } from 'vitest';
import { checkQuotedPcrs, checkSignature, readQuote, type Quote } from '../attestations.ts';
import { checkSigner, readKey, type KeyClaim } from '../keys.ts';
import {
  indexRuntimeFiles,
  observeQualifyingData,
  parseRuntimeFiles,
  startWatch,
  type WatchBaseline,
} from './index.ts';
import { checkStart, describeStray, findQuoted, readList } from './measurements.ts';

interface Recorded {
  readonly machine: string;
  readonly boot: string;
  readonly akPublic: string;
  readonly pcrs: readonly string[];
  readonly resetCount: number;
  readonly restartCount: number;
  readonly clock: string;
  readonly nonce: string;
  readonly from: number;
  readonly quote: string;
  readonly quoteSignature: string;
  readonly log: string;
  readonly files: string;
}

const recorded: Recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/watch-hello.json'), 'utf8'),
);
const baseline: WatchBaseline = {
  ...recorded,
  akPublic: fromHex(recorded.akPublic),
  pcrs: recorded.pcrs.map((pcr) => fromHex(pcr)),
  clock: BigInt(recorded.clock),
};
const files = indexRuntimeFiles(parseRuntimeFiles(recorded.files));
const log = fromHex(recorded.log);
const from = startWatch(baseline).proven;

async function signed(): Promise<{ ak: KeyClaim; quote: Quote }> {
  const ak = await readKey(baseline.akPublic, 'attestation key', TPM_ALG.ECDSA);
  const quote = readQuote(fromHex(recorded.quote));
  if (typeof ak === 'string' || typeof quote === 'string') throw new Error('the fixture is broken');
  return { ak, quote };
}

describe('an answer of a real guest', () => {
  test('its quote is signed by the key of the boot, over the question and PCRs 0 to 15', async () => {
    const { ak, quote } = await signed();
    const signature = await checkSignature(ak, fromHex(recorded.quoteSignature), fromHex(recorded.quote), 'quote');
    expect(signature.ok).toBe(true);
    expect((await checkSigner(ak, quote.qualifiedSigner, 'quote')).ok).toBe(true);
    expect(checkQuotedPcrs(quote, WATCHED_PCRS).ok).toBe(true);
    expect(quote.extraData).toEqual(await observeQualifyingData({ ...recorded, nonce: fromHex(recorded.nonce) }));
    expect(quote.clockInfo).toMatchObject({ resetCount: baseline.resetCount, restartCount: baseline.restartCount });
  });

  test('its list begins with the boot, leads to the quote, and has one file that is not of the image', async () => {
    const { quote } = await signed();
    const list = readList(log, { from, more: false, files });
    expect(list).toMatchObject({ form: { ok: true }, template: { ok: true } });
    expect((await checkStart(list, from, baseline)).ok).toBe(true);
    const proven = await findQuoted(list, quote.attested.pcrDigest, baseline);
    expect(proven).toBe(list.steps.at(-1));
    expect(proven?.ima.entries).toBeGreaterThan(40);
    expect(proven?.strays.map((stray) => describeStray(stray, files))).toEqual([
      expect.stringMatching(/^\/tmp\/busybox ran, which is not a file of the image hello/),
    ]);
  });

  test('every truncation of its list is refused, or does not lead to the quote', async () => {
    const { quote } = await signed();
    for (let length = 0; length < log.length; length += 37) {
      const list = readList(log.subarray(0, length), { from, more: false, files });
      const led = list.form.ok && (await findQuoted(list, quote.attested.pcrDigest, baseline));
      expect(led, `${length} bytes`).toBeFalsy();
    }
  });
});
