// Stands between a VMM and its TPM and bears witness of the boot: writes down what is measured, and when the firmware has
// handed over to the operating system proves it to the broker, over a socket that the host relays. Until the broker has
// decided the guest waits for the answer to that last measurement, so that a boot that is refused has run no kernel.
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Transport, tpmOver } from '@ringwall/tpm';
import { activate, answerChallenge } from './evidence.ts';
import type { SwtpmControl } from '../swtpm/control-channel.ts';
import { BootRecord } from './boot-record.ts';
import { speak } from './speaker.ts';
import { loadState, saveState } from './state-keeper.ts';
import { answerStates } from './state-port.ts';
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
  /** By which the TPM's state leaves it and comes back. */
  readonly control: Pick<SwtpmControl, 'readState' | 'loadState'>;
  /** Where the broker is relayed from: one at a time. */
  readonly port: Server;
  /** Where it is saved, and told what it goes on from. */
  readonly states: Server;
}

export interface WitnessMode {
  readonly holdMs?: number;
  /** It serves no guest before it was told what it goes on from: a boot that it has not seen begin. */
  readonly waiting?: boolean;
}

/** The word of a witness that goes on: nobody has asked about this boot before, and it is not proven. */
const GOES_ON = 'failed it goes on from a saved state: its next start is proven\n';

/** Resolves when the VMM closes its end. */
export async function witness(
  { guest, tpm, control, port, states }: WitnessEnds,
  { holdMs = HOLD_MS, waiting = false }: WitnessMode = {},
): Promise<void> {
  const record = new BootRecord();
  const line = new TpmLine(tpm, record);
  const exited = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<void>();
  const loaded = Promise.withResolvers<void>();
  let phase: 'waiting' | 'loading' | 'booting' | 'held' | 'over' = waiting ? 'waiting' : 'booting';
  answerStates(states, {
    save: async () => (phase === 'over' ? await saveState({ line, record, control }) : undefined),
    load: async (saved) => {
      if (phase !== 'waiting') throw new RangeError('it has a boot already');
      phase = 'loading';
      await loadState({ line, record, control }, saved);
      phase = 'over';
      loaded.resolve();
    },
  });
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
    if (waiting) socket.end(GOES_ON);
    else void speakInTime(socket);
  });
  if (waiting) await loaded.promise;
  await line.serve(guest, async () => {
    if (!record.exited || phase !== 'booting') return;
    phase = 'held';
    exited.resolve();
    await Promise.race([decided.promise, sleep(holdMs, undefined, { ref: false })]);
    phase = 'over';
  });
}
