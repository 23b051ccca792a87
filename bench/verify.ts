// What a verdict costs: full judgements per second on one core, each with its signatures, a log of 100 events and a policy,
// against the rate at which the same process verifies one bare signature with a key that it has already, and against
// `tpm2_checkquote`, which is started anew for each quote as its users do.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgeVtpm, signReference, type PolicyV2, type SignedReference, type VtpmJudgement } from '@ringwall/evidence';
import { parseAttest, parsePublic, parseSignature, publicKeyOf } from '@ringwall/tpm';
import { event, realEvents, type TestEvent } from '../lib/evidence/testing/event-log.ts';
import { makeSigner } from '../lib/evidence/testing/proofs.ts';
import { makeScene, type Scene } from '../lib/evidence/testing/scene.ts';
import { NOW } from '../lib/evidence/testing/vtpm-ca.ts';
import { pairs, timeProcess, type Figure } from './measure.ts';

const EVENTS = 100;
const VERDICTS = 300;
const RUNS = 9;
const GOAL_RATIO = 0.6;
/** Of a boot: quote and certification. Those of certificate and reference values were verified at an earlier boot. */
const SIGNATURES = 2;
const EV_EVENT_TAG = 6;
const DAY_MS = 24 * 3600 * 1000;

export async function benchVerify(): Promise<Figure[]> {
  const scene = await makeScene();
  const judgement = await makeJudgement(scene);
  const { evidence } = judgement;
  const key = await publicKeyOf(parsePublic(evidence.akPublic));
  const rs = rawSignature(evidence.quoteSignature);
  const quote = new Uint8Array(evidence.quote);
  const verdicts = (): Promise<number> =>
    cpuOf(async () => {
      const { verdict } = await judgeVtpm(judgement);
      if (verdict.outcome !== 'accepted') throw new Error(verdict.reasons.join('; '));
    });
  const bare = (): Promise<number> =>
    cpuOf(async () => {
      if (!(await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, rs, quote))) throw new Error('refused');
    });
  await pairs(2, verdicts, bare); // warms both up
  const result = await pairs(RUNS, bare, verdicts);
  const ofSignatures = result.ratio * SIGNATURES;
  const perSecond = (milliseconds: number): string => Math.round((VERDICTS / milliseconds) * 1000).toLocaleString('en');
  return [
    {
      name: `full verdicts (${SIGNATURES} signatures, ${EVENTS} events, policy, signed reference) per second and core`,
      value: `${perSecond(result.b)} against ${perSecond(result.a)} bare signatures: ratio ${result.ratio.toFixed(2)}`,
    },
    {
      name: 'share of a verdict’s time that its own signatures take',
      value: ofSignatures.toFixed(2),
      goal: { text: `at least ${GOAL_RATIO}`, met: ofSignatures >= GOAL_RATIO },
    },
    ...(await againstCheckquote(judgement, result.b / VERDICTS)),
  ];
}

/** A judgement as a broker makes it: a policy of version 2, and signed reference values for 100 events. */
async function makeJudgement(scene: Scene): Promise<VtpmJudgement> {
  const more: TestEvent[] = Array.from({ length: EVENTS - realEvents.length }, (_, index) =>
    event(9, EV_EVENT_TAG, Buffer.from(`file ${index}`)),
  );
  const events = [...realEvents, ...more];
  const { challenge, ca, ekCertificate } = scene;
  const reference = await signedReference(scene, more);
  const { signers } = { signers: [Buffer.from(reference.publicKey).toString('hex')] };
  const policy: PolicyV2 = {
    version: 2,
    evidence: ['vtpm'],
    bank: 'sha256',
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15],
    untouchedPcrs: [11, 12, 13, 14, 15],
    references: { signers, ids: [] },
    rules: [{ effect: 'deny', pcr: 4, digests: ['00'.repeat(32)], reason: 'revoked' }],
  };
  return {
    evidence: await scene.evidence({ events }),
    challenge,
    policy,
    reference,
    trustedRoots: [ca.der],
    expectedEkCertificate: ekCertificate,
    now: NOW,
  };
}

async function signedReference({ reference }: Scene, more: readonly TestEvent[]): Promise<SignedReference> {
  const { firmware, image, events } = reference;
  const added = more.map(({ digest }, index) => ({
    pcr: 9,
    type: 'EV_EVENT_TAG',
    digest: Buffer.from(digest).toString('hex'),
    what: `file ${index}`,
  }));
  return signReference(
    {
      by: 'bench',
      for: { firmware, kernel: { name: 'vmlinuz', digest: 'cd'.repeat(32) }, image },
      events: [...events, ...added],
      packages: [],
      notBefore: new Date(NOW.getTime() - DAY_MS),
      notAfter: new Date(NOW.getTime() + DAY_MS),
    },
    await makeSigner(),
  );
}

/** CPU time of the process, its threads included: WebCrypto works on threads of its own. */
async function cpuOf(once: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  for (let count = 0; count < VERDICTS; count += 1) await once();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function rawSignature(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const signature = parseSignature(bytes);
  if (!('signatureR' in signature)) throw new Error('no ECDSA');
  return new Uint8Array(Buffer.concat([signature.signatureR, signature.signatureS]));
}

async function againstCheckquote({ evidence }: VtpmJudgement, verdictMs: number): Promise<Figure[]> {
  const name = 'a verdict against one run of tpm2_checkquote';
  if (spawnSync('tpm2_checkquote', ['--version']).status !== 0) return [{ name, value: 'skipped: needs tpm2-tools' }];
  const directory = mkdtempSync(join(tmpdir(), 'ringwall-bench-'));
  try {
    const file = (part: string, bytes: Uint8Array | string): string => {
      const path = join(directory, part);
      writeFileSync(path, bytes);
      return path;
    };
    const spki = await crypto.subtle.exportKey('spki', await publicKeyOf(parsePublic(evidence.akPublic)));
    const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(spki).toString('base64')}\n-----END PUBLIC KEY-----\n`;
    const nonce = Buffer.from(parseAttest(evidence.quote).extraData).toString('hex');
    const argv = [
      'tpm2_checkquote',
      ...['-q', nonce],
      ...[
        '-u',
        file('ak.pem', pem),
        '-m',
        file('quote', evidence.quote),
        '-s',
        file('signature', evidence.quoteSignature),
      ],
    ];
    const runMs =
      [0, 1, 2, 3, 4].map(() => timeProcess(argv, { PATH: '/usr/sbin:/usr/bin' })).toSorted((a, b) => a - b)[2] ?? 0;
    return [{ name, value: `${verdictMs.toFixed(2)} ms of CPU against ${runMs.toFixed(1)} ms, which replays no log` }];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
