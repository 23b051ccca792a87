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

/** How the answer is put together from what the healthy machine says and what is known of the other. */
interface Relaying {
  readonly what: string;
  readonly compose: (healthy: VtpmEvidence, other: VtpmEvidence) => VtpmEvidence;
  /** What a reason of the refusal must name. */
  readonly named: (healthy: string) => RegExp;
}

const RELAYINGS: readonly Relaying[] = [
  {
    what: 'the healthy machine’s evidence, as it is',
    compose: (healthy) => healthy,
    named: (healthy) => new RegExp(`EK certificate is for .*${healthy}`),
  },
  {
    what: 'the healthy machine’s attestation key under the other’s EK certificate',
    compose: (healthy, other) => ({ ...healthy, ekCertificate: other.ekCertificate }),
    named: () => /attestation key/,
  },
  {
    what: 'the healthy machine’s quote, the other’s own certification of its boot key',
    compose: (healthy, other) => ({
      ...other,
      quote: healthy.quote,
      quoteSignature: healthy.quoteSignature,
    }),
    named: () => /quote/,
  },
];

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
    const other = await oldEvidence(ringwall, victim);
    const asked = (await ringwall.show(victim)).machine;
    const boot = asked.status.bootId ?? '';
    step('a healthy sister boots, and its relay is the attacker’s');
    await using sister = await RelayedMachine.make(ringwall);
    await sister.start();
    using guest = await sister.openPort();
    await guest.hello();
    const attempts: Attempt[] = [];
    for (const { what, compose, named } of RELAYINGS) {
      step(`the broker asks ${victim}, and is answered with ${what}`);
      using session = await BrokerSession.open(sister.broker, asked.id, boot);
      const evidence = await guest.answer(await session.hello());
      const { release, reasons } = await session.present(compose(evidence, other));
      const seen = reasons.find((reason) => named(sister.id).test(reason));
      if (release === undefined && seen === undefined) {
        throw new Error(`${what}: refused, but no reason names it: ${reasons.join('; ')}`);
      }
      attempts.push({ what, succeeded: release !== undefined, seen: seen ?? 'a released key' });
    }
    return attempts;
  },
};
