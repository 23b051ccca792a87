// Drill: good evidence of an earlier boot is shown again. Proof bundles are public, so anybody has some.
import { toHex } from '@ringwall/bytes';
import { parseAttest } from '@ringwall/tpm';
import { BrokerSession, brokerClient } from '../attacker/broker-session.ts';
import type { Attempt, Drill } from '../drill.ts';
import { plainVerify } from '../plain/verifier.ts';
import { oldEvidence } from '../victim.ts';

/** How often the attacker asks for a nonce that he has seen before. */
const HELLOS = 20;

export const replayedEvidence: Drill = {
  name: 'replayed-evidence',
  title: 'Evidence of an earlier, healthy boot is shown again',
  adversaries: ['A3'],
  inPart: [{ adversary: 'A6', only: 'as far as they relay: root reads the keys of a broker on the same host' }],
  story:
    'A machine proved itself once. Later it boots something else; the attacker on the relay answers with the recorded evidence of the good boot.',
  mustBeTrue: 'The attacker has a complete, genuine answer of the same machine, and sits on the relay.',
  stoppedBy:
    'A nonce of 32 bytes, used once, for 60 seconds, for this machine, boot and connection, inside the signed quote.',

  async without({ directory, ringwall, victim, step }) {
    const evidence = await oldEvidence(ringwall, victim);
    step('tpm2_checkquote judges the old quote');
    const nonce = toHex(parseAttest(evidence.quote).extraData);
    await plainVerify(directory, evidence, nonce);
    const { accepted, seen } = await plainVerify(directory, evidence, nonce);
    return [
      { what: 'show it twice to a verifier that compares the nonce but keeps no record', succeeded: accepted, seen },
    ];
  },

  async with({ ringwall, victim, step }) {
    const evidence = await oldEvidence(ringwall, victim);
    const { machine } = await ringwall.show(victim);
    const client = brokerClient(ringwall);
    const boot = machine.status.bootId ?? '';
    const attempts: Attempt[] = [];

    step('the broker gets the old evidence for a fresh nonce');
    const { session, answer } = await BrokerSession.present(
      client,
      { machine: machine.id, boot },
      async () => evidence,
    );
    using _ = session;
    attempts.push({
      what: 'answer a fresh nonce with the old evidence',
      succeeded: answer.release !== undefined,
      seen: answer.release === undefined ? (answer.reasons[0] ?? 'refused') : 'a released key',
    });

    step('the attacker asks until a known nonce comes back');
    const seen = new Set<string>();
    let repeated = false;
    while (seen.size < HELLOS && !repeated) {
      using asking = await BrokerSession.open(client, machine.id, boot);
      const challenge = await asking.hello();
      if (challenge === undefined) continue;
      const nonce = toHex(challenge.nonce);
      repeated ||= seen.has(nonce);
      seen.add(nonce);
    }
    attempts.push({
      what: `ask ${HELLOS} times for a nonce that was used before`,
      succeeded: repeated,
      seen: repeated ? 'a nonce came twice' : `${seen.size} different nonces`,
    });
    return attempts;
  },
};
