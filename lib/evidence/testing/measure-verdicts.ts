// What bench/verify.ts asks for, in a process of its own: full judgements, each with its signatures, a log of 100 events and
// a policy, and bare signature verifications with a key that is there already, in turn. It prints one line of JSON, and
// writes the quote with its key and signature to the directory that it is given, for others to check.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '@ringwall/bytes';
import { parseAttest, parsePublic, parseSignature, publicKeyOf } from '@ringwall/tpm';
import { defaultPolicy, judgeVtpm, signReference, type PolicyV2, type VtpmJudgement } from '../src/index.ts';
import { event, realEvents, type TestEvent } from './event-log.ts';
import { makeSigner } from './proofs.ts';
import { makeScene, type Scene } from './scene.ts';
import { NOW } from './vtpm-ca.ts';

const EVENTS = 100;
const VERDICTS = 300;
const ROUNDS = 9;
const WARM_ROUNDS = 2;
const EV_EVENT_TAG = 6;
const DAY_MS = 24 * 3600 * 1000;

const [directory = '.'] = process.argv.slice(2);
const judgement = await makeJudgement(await makeScene());
const { akPublic, quote, quoteSignature } = judgement.evidence;
const key = await publicKeyOf(parsePublic(akPublic));
const signature = parseSignature(quoteSignature);
if (!('signatureR' in signature)) throw new Error('the quote is not signed with ECDSA');
const rs = new Uint8Array([...signature.signatureR, ...signature.signatureS]);
const message = new Uint8Array(quote);
const spki = await crypto.subtle.exportKey('spki', key);
const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(spki).toString('base64')}\n-----END PUBLIC KEY-----\n`;
for (const [name, bytes] of Object.entries({ 'ak.pem': pem, quote, signature: quoteSignature })) {
  writeFileSync(join(directory, name), bytes);
}

const rounds: { bareMs: number; verdictMs: number }[] = [];
for (let round = 0; round < WARM_ROUNDS + ROUNDS; round += 1) {
  const bareMs = await cpuOf(async () => {
    if (!(await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, rs, message))) throw new Error('refused');
  });
  const verdictMs = await cpuOf(async () => {
    const { verdict } = await judgeVtpm(judgement);
    if (verdict.outcome !== 'accepted') throw new Error(verdict.reasons.join('; '));
  });
  if (round >= WARM_ROUNDS) rounds.push({ bareMs, verdictMs });
}
process.stdout.write(`${JSON.stringify({ rounds, nonce: toHex(parseAttest(quote).extraData) })}\n`);

/** CPU time of one, in milliseconds, the process's other threads included: WebCrypto works on them. */
async function cpuOf(once: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  for (let count = 0; count < VERDICTS; count += 1) await once();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / VERDICTS;
}

/** A judgement as a broker makes it: a policy of version 2, and signed reference values for 100 events. */
async function makeJudgement(scene: Scene): Promise<VtpmJudgement> {
  const more: TestEvent[] = Array.from({ length: EVENTS - realEvents.length }, (_, index) =>
    event(9, EV_EVENT_TAG, utf8(`file ${index}`)),
  );
  const { reference: plain, challenge, ca, ekCertificate } = scene;
  const expected = more.map(({ digest }, index) => ({
    pcr: 9,
    type: 'EV_EVENT_TAG',
    digest: toHex(digest),
    what: `file ${index}`,
  }));
  const reference = await signReference(
    {
      by: 'a benchmark',
      for: { firmware: plain.firmware, kernel: { name: 'vmlinuz', digest: 'cd'.repeat(32) }, image: plain.image },
      events: [...plain.events, ...expected],
      packages: [],
      notBefore: new Date(NOW.getTime() - DAY_MS),
      notAfter: new Date(NOW.getTime() + DAY_MS),
    },
    await makeSigner(),
  );
  const { bank, pcrs, untouchedPcrs } = defaultPolicy;
  const policy: PolicyV2 = {
    version: 2,
    evidence: ['vtpm'],
    bank,
    pcrs,
    untouchedPcrs,
    references: { signers: [toHex(reference.publicKey)], ids: [] },
    rules: [{ effect: 'deny', pcr: 4, digests: ['00'.repeat(32)], reason: 'revoked' }],
  };
  const evidence = await scene.evidence({ events: [...realEvents, ...more] });
  return {
    evidence,
    challenge,
    policy,
    reference,
    trustedRoots: [ca.der],
    expectedEkCertificate: ekCertificate,
    now: NOW,
  };
}
