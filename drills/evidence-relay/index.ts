// Drill: a healthy machine answers for another one. Its evidence is fresh and genuine, but not of the machine that was asked.
import type { VtpmEvidence } from '@ringwall/evidence';
import { toHex } from '@ringwall/bytes';
import { parseAttest } from '@ringwall/tpm';
import { makeEvidence, makeGuestKeys, PlainTpm, replayInto } from '@ringwall/testkit';
import { BrokerSession } from '../attacker/broker-session.ts';
import { RelayedMachine } from '../attacker/relay.ts';
import type { Attempt, Drill } from '../drill.ts';
import { plainVerify } from '../plain/verifier.ts';
import { oldEvidence } from '../victim.ts';

export const evidenceRelay: Drill = {
  name: 'evidence-relay',
  title: 'A healthy machine answers for another one',
  adversaries: ['A3'],
  inPart: [{ adversary: 'A6', only: 'as far as they relay: root reads the keys of a broker on the same host' }],
  story:
    'A machine that boots something else is asked to prove itself. Whoever relays passes the challenge to a healthy sister, which answers in good faith, and hands its answer in.',
  mustBeTrue: 'The attacker has a healthy machine on the same host, and sits on the relay of both.',
  stoppedBy:
    'The EK certificate names the machine, is bound to it at its making, and the attestation key is bound to that EK by credential activation.',

  async without({ directory, ringwall, victim, step }) {
    step('two plain TPMs are enrolled; the healthy one answers for the other');
    const { eventLog, ekCertificate } = await oldEvidence(ringwall, victim);
    await using healthy = await PlainTpm.fresh();
    await using other = await PlainTpm.fresh();
    const enrolled = new Set<string>();
    for (const tpm of [healthy, other]) await tpm.manufacture(async () => ekCertificate);
    await replayInto(healthy, eventLog);
    const keys = await makeGuestKeys(healthy);
    for (const { akPublic } of [keys, await makeGuestKeys(other)]) enrolled.add(toHex(akPublic));
    const challenge = { nonce: crypto.getRandomValues(new Uint8Array(32)), machine: 'other', boot: '0'.repeat(32) };
    const evidence = await makeEvidence(healthy, keys, challenge, eventLog);
    const { accepted, seen } = await plainVerify(directory, evidence, toHex(parseAttest(evidence.quote).extraData));
    return [
      {
        what: 'answer the other’s nonce, to a verifier that knows the attestation keys of the host',
        succeeded: accepted && enrolled.has(toHex(evidence.akPublic)),
        seen,
      },
    ];
  },

  async with({ ringwall, victim, step }) {
    const recorded = await oldEvidence(ringwall, victim);
    await using healthy = await RelayedMachine.make(ringwall);
    // It boots something else, or nothing: all that is needed of it is its certificate.
    await using other = await RelayedMachine.make(ringwall);
    step('a healthy machine boots, and its relay is the attacker’s');
    const { boot, reference } = await healthy.start();
    await other.broker.call({ op: 'expect-boot', machine: other.id, boot, reference });
    using guest = await healthy.openPort();
    await guest.hello();
    const attempts: Attempt[] = [];

    for (const { what, compose, named } of [
      {
        what: 'the healthy machine’s evidence, as it is',
        compose: (fresh: VtpmEvidence): VtpmEvidence => fresh,
        named: new RegExp(`EK certificate is for .*${healthy.id}`),
      },
      {
        what: 'the healthy machine’s certification, and a quote of a third one',
        compose: (fresh: VtpmEvidence): VtpmEvidence => ({
          ...fresh,
          ekCertificate: other.ekCertificate,
          quote: recorded.quote,
          quoteSignature: recorded.quoteSignature,
        }),
        named: /quote/,
      },
    ]) {
      step(`the other machine is asked, and the answer is ${what}`);
      using session = await BrokerSession.open(other.broker, other.id, boot);
      const evidence = await guest.answer(await session.challenge());
      const { release, reasons } = await session.present(compose(evidence));
      const seen = reasons.find((reason) => named.test(reason));
      if (release === undefined && seen === undefined) {
        throw new Error(`${what}: refused, but no reason names it: ${reasons.join('; ')}`);
      }
      attempts.push({ what, succeeded: release !== undefined, seen: seen ?? 'a released key' });
    }

    const what = 'the healthy machine’s attestation key under the other’s EK certificate';
    step(`the other machine is asked, and the answer is ${what}`);
    using session = await BrokerSession.open(other.broker, other.id, boot);
    const evidence = await guest.answer(await session.challenge());
    const { lines } = await session.present({ ...evidence, ekCertificate: other.ekCertificate });
    // The broker cannot see it before it has asked: what it gives opens only where both keys are in one TPM.
    guest.send(`${lines.join('\n')}\n`);
    const seen = await guest.line();
    attempts.push({ what, succeeded: !/^failed .*not for this TPM/.test(seen), seen });
    return attempts;
  },
};
