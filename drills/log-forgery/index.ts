// Drill: a machine boots with another command line, and its event log is rewritten on the relay to read like the good boot.
import { utf8 } from '@ringwall/bytes';
import { newBootId } from '@ringwall/api';
import { referenceJson, type Proof, type VtpmEvidence } from '@ringwall/evidence';
import { makeEvidence, makeGuestKeys, PlainTpm, replayInto } from '@ringwall/testkit';
import { digest, EV, EV_EVENT_TAG, EV_IPL, EV_NO_ACTION, EV_SEPARATOR } from '@ringwall/tpm';
import { BrokerSession } from '../attacker/broker-session.ts';
import { eventsOf, rewriteLog, writeLog, type WrittenEvent } from '../attacker/event-log.ts';
import { RelayedMachine, type GuestPort } from '../attacker/relay.ts';
import type { Attempt, Drill } from '../drill.ts';
import { plainVerifyBoot } from '../plain/log-verifier.ts';
import { lastProof, oldEvidence } from '../victim.ts';

const GOOD_LINE = '/vmlinuz root=/dev/sda1 ro quiet';
const BAD_LINE = '/vmlinuz root=/dev/sda1 ro quiet init=/bin/sh';
const GRUB_PCR = 8;
const LOADER_PCR = 4;
const COMMAND_LINE_PCR = 9;
/** A broker of the attacker's: whoever names another on the command line has the guest believe it. */
const FOREIGN_BROKER_KEY = 'ab'.repeat(64);

/** One way to make the log read as it should. */
interface Forgery {
  readonly what: string;
  readonly rewrite: (log: Uint8Array, good: Uint8Array) => Uint8Array;
  /** What a reason of the refusal must name. */
  readonly named: RegExp;
}

const FORGERIES: readonly Forgery[] = [
  {
    what: 'the data of the command line rewritten, its digest kept',
    rewrite: (log) => rewriteCommandLine(log, (event) => ({ ...event, data: utf8(`kernel_cmdline: ${GOOD_LINE}`) })),
    named: /command line \(PCR 9.*measured .*expected/,
  },
  {
    what: 'the unexpected event called a separator',
    rewrite: (log) => rewriteCommandLine(log, (event) => ({ ...event, type: EV_SEPARATOR, data: new Uint8Array(4) })),
    named: /EV_SEPARATOR.*not what was measured/,
  },
  {
    what: 'the unexpected event called a note that extends nothing',
    rewrite: (log) => rewriteCommandLine(log, (event) => ({ ...event, type: EV_NO_ACTION })),
    named: /does not replay/,
  },
  {
    what: 'the whole log of a good boot in its place',
    rewrite: (_log, good) => good,
    named: /does not replay/,
  },
];

/** Nothing is rewritten: the broker was told to expect what was booted. */
const TRUE_LOG: Forgery = {
  what: 'the true log, and a reference for just that boot, signed by the host',
  rewrite: (log) => log,
  named: /command line of the image hello has changed, and nobody has accepted that yet/,
};

export const logForgery: Drill = {
  name: 'log-forgery',
  title: 'The event log is rewritten on the way: types and data change, digests stay',
  adversaries: ['A3'],
  inPart: [{ adversary: 'A6', only: 'as far as they rewrite what passes: root reads the memory of a guest that runs' }],
  story:
    'A machine boots with a command line that nobody approved. Whoever relays its evidence edits the log: the text of the bad event reads like the good one, an event too many is given a harmless type. The quote is genuine, and the log replays to it.',
  mustBeTrue:
    'The attacker is a taken-over ringwalld: it starts the machine as it likes, and every line passes through it.',
  stoppedBy:
    'Every event is judged by its digest and its type against the reference; text is shown, and never compared. What to expect is signed by the host, and another command line waits for a person.',

  async without({ directory, ringwall, victim, step }) {
    step('a plain TPM sees a boot by GRUB with another command line, and one program too many');
    const real = await oldEvidence(ringwall, victim);
    const programs = eventsOf(real.eventLog).filter(({ type }) => type === EV.EFI_BOOT_SERVICES_APPLICATION).length;
    const commandLine = await measured(GRUB_PCR, EV_IPL, `kernel_cmdline: ${BAD_LINE}`);
    const stranger = await measured(LOADER_PCR, EV.EFI_BOOT_SERVICES_APPLICATION, 'a program that nobody knows');
    const tampered = [...eventsOf(real.eventLog), commandLine, stranger];
    const forged = [
      ...eventsOf(real.eventLog),
      { ...commandLine, data: utf8(`kernel_cmdline: ${GOOD_LINE}`) },
      { ...stranger, type: EV_SEPARATOR, data: new Uint8Array(4) },
    ];
    await using tpm = await PlainTpm.fresh();
    await tpm.manufacture(async () => real.ekCertificate);
    await replayInto(tpm, writeLog(real.eventLog, tampered));
    const challenge = { nonce: crypto.getRandomValues(new Uint8Array(32)), machine: 'plain', boot: '0'.repeat(32) };
    const evidence = await makeEvidence(tpm, await makeGuestKeys(tpm), challenge, writeLog(real.eventLog, forged));
    const { accepted, seen } = await plainVerifyBoot(directory, evidence, {
      commandLine: GOOD_LINE,
      applications: programs,
    });
    return [{ what: 'show a log whose text reads like the good boot', succeeded: accepted, seen }];
  },

  async with({ ringwall, victim, step }) {
    const good = await lastProof(ringwall, victim);
    step('the attacker starts a machine with another command line');
    await using machine = await RelayedMachine.make(ringwall);
    const { boot, reference } = await machine.start(FOREIGN_BROKER_KEY);
    // What a good boot of this image must measure: the victim's reference, from its proof, which anybody may read.
    await machine.broker.call({ op: 'expect-boot', machine: machine.id, boot, reference: signedReference(good) });
    using guest = await machine.openPort();
    await guest.hello();
    const attempts: Attempt[] = [];
    for (const forgery of FORGERIES) {
      step(`the guest proves itself, and the relay forwards ${forgery.what}`);
      using session = await BrokerSession.open(machine.broker, machine.id, boot);
      attempts.push(await forge(session, guest, forgery, good.evidence.eventLog));
    }
    step('the attacker gives the broker the host’s own word for the other command line');
    const another = newBootId();
    await machine.broker.call({ op: 'expect-boot', machine: machine.id, boot: another, reference });
    using session = await BrokerSession.open(machine.broker, machine.id, another);
    attempts.push(await forge(session, guest, TRUE_LOG, good.evidence.eventLog));
    return attempts;
  },
};

async function forge(
  session: BrokerSession,
  guest: GuestPort,
  { what, rewrite, named }: Forgery,
  good: Uint8Array,
): Promise<Attempt> {
  const evidence: VtpmEvidence = await guest.answer(await session.challenge());
  const answer = await session.present({ ...evidence, eventLog: rewrite(evidence.eventLog, good) });
  if (answer.release !== undefined) return { what, succeeded: true, seen: 'a released key' };
  const seen = answer.reasons.find((reason) => named.test(reason));
  if (seen === undefined) throw new Error(`${what}: refused, but no reason names it: ${answer.reasons.join('; ')}`);
  return { what, succeeded: false, seen };
}

/** The kernel measures its command line first of what it measures. */
function rewriteCommandLine(log: Uint8Array, change: (event: WrittenEvent) => WrittenEvent): Uint8Array {
  const found = eventsOf(log).find(({ pcr, type }) => pcr === COMMAND_LINE_PCR && type === EV_EVENT_TAG);
  if (found === undefined) throw new Error('the log has no event of the command line');
  return rewriteLog(log, (event) =>
    event.pcr === found.pcr && event.digest.join() === found.digest.join() ? change(event) : event,
  );
}

function signedReference({ signedReference: signed }: Proof): unknown {
  if (signed === undefined) throw new Error('the victim’s proof has no signed reference');
  return referenceJson(signed);
}

async function measured(pcr: number, type: number, text: string): Promise<WrittenEvent> {
  const data = utf8(text);
  return { pcr, type, data, digest: await digest('sha256', data) };
}
