// Drill: everything is measured as it should be, but not by this machine's TPM.
import { join } from 'node:path';
import { openVtpmCa } from '@ringwall/control/ca';
import { toHex } from '@ringwall/bytes';
import { Secret } from '@ringwall/control/keys';
import type { Challenge, VtpmEvidence } from '@ringwall/evidence';
import { parseAttest } from '@ringwall/tpm';
import { makeEvidence, makeGuestKeys, PlainTpm, replayInto } from '@ringwall/testkit';
import { BrokerSession, brokerClient } from '../attacker/broker-session.ts';
import { forgeEvidence } from '../attacker/software-tpm.ts';
import type { Attempt, Drill, DrillContext } from '../drill.ts';
import { plainVerify } from '../plain/verifier.ts';
import { oldEvidence } from '../victim.ts';

export const foreignTpm: Drill = {
  name: 'foreign-tpm',
  title: 'A TPM of somebody else, or none at all, vouches for the machine',
  adversaries: ['A3'],
  inPart: [
    {
      adversary: 'A6',
      only: 'without the key of the host’s vTPM CA: root who reads it certifies any TPM for a new machine',
    },
  ],
  story:
    'The attacker makes a vTPM of his own, or a key in a file that claims to be in one, replays the good event log into it and signs whatever is asked.',
  mustBeTrue: 'The attacker knows what the machine should measure, and can talk to the broker in the machine’s name.',
  stoppedBy:
    'The EK certificate is bound to the machine at its making; credential activation binds the attestation key to that EK.',

  async without(context) {
    const { directory } = context;
    const real = await oldEvidence(context.ringwall, context.victim);
    const challenge = { nonce: crypto.getRandomValues(new Uint8Array(32)), machine: 'plain', boot: '0'.repeat(32) };
    const foreign = await withForeignTpm(context, real.eventLog, (prove) => prove(challenge));
    const forged = await forgeEvidence(real, challenge);
    const ofTpm = await plainVerify(directory, foreign, nonceOf(foreign));
    const ofSoftware = await plainVerify(directory, forged, nonceOf(forged));
    return [
      { what: 'a quote by the attacker’s own vTPM', succeeded: ofTpm.accepted, seen: ofTpm.seen },
      {
        what: 'a quote by a software key posing as attestation key',
        succeeded: ofSoftware.accepted,
        seen: ofSoftware.seen,
      },
    ];
  },

  async with(context) {
    const { ringwall, victim } = context;
    const real = await oldEvidence(ringwall, victim);
    const { machine } = await ringwall.show(victim);
    const client = brokerClient(ringwall);
    const boot = machine.status.bootId ?? '';
    const attempts: Attempt[] = [];

    const asked = { machine: machine.id, boot };
    const { session: first, answer } = await withForeignTpm(context, real.eventLog, (prove) =>
      BrokerSession.present(client, asked, prove),
    );
    using _ = first;
    attempts.push({
      what: 'a vTPM from another CA, with the right PCRs and a fresh nonce',
      succeeded: answer.release !== undefined,
      seen: answer.release === undefined ? (answer.reasons[0] ?? 'refused') : 'a released key',
    });

    const { session: second, answer: forged } = await BrokerSession.present(client, asked, (challenge) =>
      forgeEvidence(real, challenge),
    );
    using _second = second;
    const { release, reasons } = forged;
    // The broker cannot see that the attestation key is in no TPM before it has asked; what it gives is of no use.
    const opened = release !== undefined && (await answersActivation(second));
    attempts.push({
      what: 'a software key posing as attestation key, with the machine’s genuine EK certificate',
      succeeded: opened,
      seen: opened
        ? 'the broker took it for attested'
        : (reasons[0] ?? 'half of the key is locked to the real EK; the broker confirmed nothing'),
    });
    return attempts;
  },
};

/** What the verifier asked for, as the quote answers it. */
function nonceOf(evidence: VtpmEvidence): string {
  return toHex(parseAttest(evidence.quote).extraData);
}

/** The best that somebody without the EK can do: guess what only the TPM can compute. */
async function answersActivation(session: BrokerSession): Promise<boolean> {
  session.send(`unlocked opened ${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')}\n`);
  return (await session.line()) === 'done';
}

/** A vTPM by the attacker’s own CA that claims to have seen the victim’s boot, and proves it for any challenge. */
async function withForeignTpm<T>(
  { directory, step, ringwall, victim }: DrillContext,
  eventLog: Uint8Array,
  use: (prove: (challenge: Challenge) => Promise<VtpmEvidence>) => Promise<T>,
): Promise<T> {
  step('the attacker makes a vTPM with a CA of his own');
  const { machine } = await ringwall.show(victim);
  const place = join(directory, `tpm-${crypto.randomUUID()}`);
  await using tpm = await PlainTpm.start(place);
  using hostKey = Secret.random(32);
  const ca = await openVtpmCa(join(place, 'ca.json'), hostKey);
  await tpm.manufacture((ekPublic) => ca.issueEkCertificate(ekPublic, machine.id));
  await replayInto(tpm, eventLog);
  const keys = await makeGuestKeys(tpm);
  // Awaited here, while the TPM is still there.
  return await use((challenge) => makeEvidence(tpm, keys, challenge, eventLog));
}
