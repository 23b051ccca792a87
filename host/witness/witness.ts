// Stands between a VMM and its TPM and bears witness of the boot: writes down what is measured, and when the firmware has
// handed over to the operating system proves it to the broker, over a socket that the host relays. Until the broker has
// decided the guest waits for the answer to that last measurement, so that a boot that is refused has run no kernel.
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Transport, tpmOver } from '@ringwall/tpm';
import { activate, answerChallenge } from './evidence.ts';
import { BootRecord } from './boot-record.ts';
import { speak } from './speaker.ts';
import { TpmLine } from './tpm-line.ts';

/**
 * How long the guest waits for a verdict. Firmware gives a TPM 90 s for one command (EDK II, PTP_TIMEOUT_MAX); a broker
 * that is away for longer than this finds a system that has gone on, and that nobody has attested.
 */
const HOLD_MS = 30_000;

export interface WitnessEnds {
  /** The VMM's end. */
  readonly guest: Socket;
  readonly tpm: Transport;
  /** Where the broker is relayed from: one at a time. */
  readonly port: Server;
}

/** Resolves when the VMM closes its end. */
export async function witness({ guest, tpm, port }: WitnessEnds, holdMs: number = HOLD_MS): Promise<void> {
  const record = new BootRecord();
  const line = new TpmLine(tpm, record);
  const exited = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<void>();
  const spokenFor = {
    answer: (challenge: Parameters<typeof answerChallenge>[1]) =>
      line.exclusively((held) => {
        const log = record.encode();
        if (log === undefined) throw new RangeError('the guest measured more than anybody judges');
        return answerChallenge(tpmOver(held), challenge, log);
      }),
    activate: (qualifying: Uint8Array, credential: Parameters<typeof activate>[2]) =>
      line.exclusively((held) => activate(tpmOver(held), qualifying, credential)),
  };
  const speakInTime = async (socket: Socket): Promise<void> => {
    await exited.promise;
    // One that is refused stands still here until its VMM is stopped, or for as long as it may be held.
    if ((await speak(socket, spokenFor)) === 'over') decided.resolve();
  };
  port.on('connection', (socket) => {
    socket.on('error', () => socket.destroy());
    void speakInTime(socket);
  });
  let held = false;
  await line.serve(guest, async () => {
    if (!record.exited || held) return;
    held = true;
    exited.resolve();
    await Promise.race([decided.promise, sleep(holdMs, undefined, { ref: false })]);
  });
}
