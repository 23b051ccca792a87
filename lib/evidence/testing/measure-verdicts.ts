// What bench/verify.ts asks for, in a process of its own: judgements of answers that were never seen before, each to a nonce
// of its own, and bare signature verifications with a key that is there already, in turn. It prints one line of JSON, and
// writes a quote with its key and signature to the directory that it is given, for others to check.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '@ringwall/bytes';
import { parseAttest, parsePublic, parseSignature, publicKeyOf } from '@ringwall/tpm';
import {
  askWatch,
  defaultPolicy,
  expectedOfLog,
  judgeHost,
  judgeVtpm,
  judgeWatch,
  keyOfCa,
  parsePolicy,
  signReference,
  vtpmCaQualifyingData,
  type HostJudgement,
  type VtpmEvidence,
  type VtpmJudgement,
} from '../src/index.ts';
import { imaNg } from '../../tpm/testing/ima-list.ts';
import { encodeLog, event, realEvents, type TestEvent } from './event-log.ts';
import { aggregateOf, makeHostScene } from './host-scene.ts';
import { makeSigner } from './proofs.ts';
import { makeScene, newChallenge } from './scene.ts';
import { attest } from './software-tpm.ts';
import { ecKeys, NOW } from './vtpm-ca.ts';
import { makeWatched } from './watching.ts';

const EVENTS = 100;
const ANSWERS = 300;
const ROUNDS = 9;
/** Until the engine has compiled what there is to compile: a broker runs for weeks. */
const WARM_ROUNDS = 6;
const EV_EVENT_TAG = 6;
/** Of boot options: what differs from log to log, and what the policy allows to. */
const VARIED_PCR = 5;
const NONCE_BYTES = 32;
const DAY_MS = 24 * 3600 * 1000;

type Once = () => Promise<void>;

interface Pair {
  readonly bareMs: number;
  readonly verdictMs: number;
}

const scene = await makeScene();
const more: readonly TestEvent[] = Array.from({ length: EVENTS - realEvents.length }, (_, index) =>
  event(9, EV_EVENT_TAG, utf8(`file ${index}`)),
);
const judged = await judgementOf([...realEvents, ...more]);
const known = await Promise.all(Array.from({ length: ANSWERS }, () => answer([...realEvents, ...more])));
const fresh = await Promise.all(
  Array.from({ length: ANSWERS }, (_, index) =>
    answer([...realEvents, event(VARIED_PCR, EV_EVENT_TAG, utf8(`option ${index}`)), ...more.slice(1)]),
  ),
);
const freshJudged = await judgementOf([...realEvents, ...more.slice(1)]);
const host = await makeHostScene();
/** A host's firmware ends its log itself: with the two actions of ExitBootServices. */
const hostEvents = [...realEvents.slice(0, -2), ...more, ...realEvents.slice(-2)];
const hostRan = [imaNg('boot_aggregate', aggregateOf(hostEvents)), ...host.booted.slice(1)];
const hostReference = await host.sign({ events: expectedOfLog(encodeLog(hostEvents)) });
const hosts = await Promise.all(Array.from({ length: ANSWERS }, () => hostAnswer()));
const watched = await makeWatched();
const { record } = await watched.judge(watched.booted);

const [quoted] = known;
if (quoted === undefined) throw new Error('nothing was quoted');
const key = await publicKeyOf(parsePublic(quoted.evidence.akPublic));
await writeQuote(quoted.evidence);

const bare = known.map(({ evidence }) => verifyBare(evidence));
const cases: Readonly<Record<string, () => Promise<readonly Once[]> | readonly Once[]>> = {
  known: () => known.map((given) => () => accept({ ...judged, ...given })),
  fresh: () => fresh.map((given) => () => accept({ ...freshJudged, ...given })),
  host: () => hosts.map((given) => () => acceptHost(given)),
  watch: () => Promise.all(Array.from({ length: ANSWERS }, () => watchOnce())),
};
// One case after the other, each in turn with the bare signature: what one leaves to be collected is not the next one's.
const measured: Record<string, readonly Pair[]> = {};
for (const [name, make] of Object.entries(cases)) measured[name] = await pairsOf(make);
const nonce = toHex(parseAttest(quoted.evidence.quote).extraData);
process.stdout.write(`${JSON.stringify({ ...measured, nonce })}\n`);

async function pairsOf(make: () => Promise<readonly Once[]> | readonly Once[]): Promise<readonly Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < WARM_ROUNDS + ROUNDS; round += 1) {
    const all = await make();
    pairs.push({ bareMs: await cpuOf(bare), verdictMs: await cpuOf(all) });
  }
  return pairs.slice(WARM_ROUNDS);
}

/** CPU time of one, in milliseconds, the process's other threads included: WebCrypto works on them. */
async function cpuOf(all: readonly Once[]): Promise<number> {
  const before = process.cpuUsage();
  for (const once of all) await once();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / all.length;
}

function verifyBare({ quote, quoteSignature }: VtpmEvidence): Once {
  const [message, rs] = [new Uint8Array(quote), rawSignature(quoteSignature)];
  return async () => {
    if (!(await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, rs, message))) throw new Error('refused');
  };
}

async function accept(judgement: VtpmJudgement): Promise<void> {
  const { verdict } = await judgeVtpm(judgement);
  if (verdict.outcome !== 'accepted') throw new Error(verdict.reasons.join('; '));
}

/** A running machine that has run nothing new. */
async function watchOnce(): Promise<Once> {
  const question = askWatch(record);
  const given = await watched.answer(question, watched.booted);
  return async () => {
    const { verdict } = await judgeWatch({ record, question, answer: given, files: watched.files, waitedMs: 1 });
    if (verdict.outcome !== 'expected') throw new Error(verdict.reasons.join('; '));
  };
}

/** The host of the scene, asked anew. */
async function hostAnswer(): Promise<Pick<HostJudgement, 'evidence' | 'question'>> {
  const question = { ...host.question, nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)) };
  const extraData = await vtpmCaQualifyingData({ ...question, spki: keyOfCa(question.vtpmCa) });
  return { question, evidence: await host.evidence({ events: hostEvents, ran: hostRan, extraData }) };
}

async function acceptHost(given: Pick<HostJudgement, 'evidence' | 'question'>): Promise<void> {
  const { policy } = host;
  const { verdict } = await judgeHost({
    ...given,
    policy,
    reference: hostReference,
    activation: 'unconfirmed',
    now: NOW,
  });
  if (verdict.outcome !== 'accepted') throw new Error(verdict.reasons.join('; '));
}

/** Another boot of the scene's machine, with a boot key and a nonce of its own. */
async function answer(events: readonly TestEvent[]): Promise<Pick<VtpmJudgement, 'evidence' | 'challenge'>> {
  const challenge = newChallenge();
  const tpm = { ...scene.tpm, bootKey: await ecKeys() };
  return { challenge, evidence: await attest(tpm, scene.ekCertificate, challenge, { events }) };
}

/** As a broker judges: a policy of version 2 with rules, and signed reference values, both read before. */
async function judgementOf(expected: readonly TestEvent[]): Promise<Omit<VtpmJudgement, 'evidence' | 'challenge'>> {
  const { reference: plain, ca, ekCertificate } = scene;
  const tagged = expected.slice(realEvents.length).map(({ pcr, digest }) => ({
    pcr,
    type: 'EV_EVENT_TAG',
    digest: toHex(digest),
    what: 'a file',
  }));
  const reference = await signReference(
    {
      by: 'a benchmark',
      for: { firmware: plain.firmware, kernel: { name: 'vmlinuz', digest: 'cd'.repeat(32) }, image: plain.image },
      events: [...plain.events, ...tagged],
      packages: [],
      notBefore: new Date(NOW.getTime() - DAY_MS),
      notAfter: new Date(NOW.getTime() + DAY_MS),
    },
    await makeSigner(),
  );
  const { bank, pcrs, untouchedPcrs } = defaultPolicy;
  const varied = { pcr: VARIED_PCR, type: 'EV_EVENT_TAG', digests: 'any', mayBeMissing: false };
  const policy = parsePolicy({
    version: 2,
    evidence: ['vtpm'],
    bank,
    pcrs,
    untouchedPcrs,
    references: { signers: [toHex(reference.publicKey)], ids: [] },
    rules: [
      { effect: 'deny', pcr: 4, digests: ['00'.repeat(32)], reason: 'revoked' },
      { effect: 'allow', ...varied, reason: 'boot options are the owner’s' },
    ],
  });
  return { policy, reference, trustedRoots: [ca.der], expectedEkCertificate: ekCertificate, now: NOW };
}

function rawSignature(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const signature = parseSignature(bytes);
  if (!('signatureR' in signature)) throw new Error('the quote is not signed with ECDSA');
  return new Uint8Array([...signature.signatureR, ...signature.signatureS]);
}

async function writeQuote({ quote, quoteSignature }: VtpmEvidence): Promise<void> {
  const [directory = '.'] = process.argv.slice(2);
  const spki = Buffer.from(await crypto.subtle.exportKey('spki', key)).toString('base64');
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`;
  for (const [name, bytes] of Object.entries({ 'ak.pem': pem, quote, signature: quoteSignature })) {
    writeFileSync(join(directory, name), bytes);
  }
}
