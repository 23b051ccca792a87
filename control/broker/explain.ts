// Why a machine's last evidence is what it is: against the reference values that count now, and against its last good boot.
import { RingwallError, type MachineId } from '@ringwall/api';
import type { BrokerResponse } from '@ringwall/api/broker';
import { ParseError } from '@ringwall/bytes';
import { explainDifference, judgeVtpm, parseProof, type Explanation, type Proof } from '@ringwall/evidence';
import type { References } from './references.ts';
import type { BrokerStore } from './store.ts';

/** Checks without which a log is a story of whoever sent it. */
const LOG_COUNTS: readonly string[] = ['quote-signature', 'log-replay'];

export async function explainMachine(
  parts: { readonly store: BrokerStore; readonly references: References },
  id: MachineId,
): Promise<BrokerResponse<'explain-machine'>> {
  const { store, references } = parts;
  const proofs = store.history.read(id).map(({ proof }) => parseProof(proof));
  const [last, ...earlier] = proofs;
  if (last === undefined) {
    throw new RingwallError('not-found', `${id} has not been attested yet`, { hint: 'start it, and ask again' });
  }
  const lastGood = earlier.find(
    ({ verdict, challenge }) => verdict.outcome === 'accepted' && challenge.boot !== last.challenge.boot,
  );
  const explanation = await explain(last, lastGood, references);
  const claims = await onlyClaims(last);
  return {
    boot: last.challenge.boot,
    at: last.at.toISOString(),
    outcome: last.verdict.outcome,
    reasons: [...last.verdict.reasons],
    ...(lastGood === undefined ? {} : { lastGoodAt: lastGood.at.toISOString() }),
    sentences: claims === undefined ? [...explanation.sentences] : [claims, ...explanation.sentences],
    differences: explanation.differences.map(
      ({ status, pcr, type, what, measured, expected, file, package: from }) => ({
        status,
        pcr,
        type,
        what,
        ...(measured === undefined ? {} : { measured }),
        ...(expected === undefined ? {} : { expected }),
        ...(file === undefined ? {} : { file }),
        ...(from === undefined ? {} : { package: from }),
      }),
    ),
  };
}

async function explain(last: Proof, lastGood: Proof | undefined, references: References): Promise<Explanation> {
  const { image } = last.reference;
  const known = references.list(image.name).map(({ reference }) => reference);
  const judgedBy = last.signedReference === undefined ? undefined : references.judgedBy(last.signedReference).reference;
  try {
    return await explainDifference({
      eventLog: last.evidence.eventLog,
      reference: judgedBy ?? last.reference,
      known,
      ...(lastGood === undefined
        ? {}
        : { lastGood: { at: lastGood.at, eventLog: lastGood.evidence.eventLog, reference: lastGood.reference } }),
    });
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { differences: [], sentences: [`the event log cannot be read: ${error.message}`] };
  }
}

/** A sentence where nobody signed the log that is explained. */
async function onlyClaims({ evidence, challenge, policy, reference, vtpmCa, at }: Proof): Promise<string | undefined> {
  const { verdict } = await judgeVtpm({ evidence, challenge, policy, reference, trustedRoots: vtpmCa, now: at });
  const counts = verdict.checks.filter(({ id }) => LOG_COUNTS.includes(id)).every(({ ok }) => ok);
  return counts ? undefined : 'no quote covers this event log: what follows is only the word of whoever sent it';
}
