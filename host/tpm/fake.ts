// A stand-in for a TPM's transport in tests: answers by command code, and keeps what was sent.
import type { Transport } from '@ringwall/tpm';

export interface FakeTpm extends Transport {
  /** Whole commands in the order in which they came. */
  readonly sent: readonly Uint8Array[];
}

/** TPM_RC_COMMAND_CODE: what a TPM says to a command that it does not have. */
const NO_SUCH_COMMAND = Uint8Array.of(0x80, 1, 0, 0, 0, 10, 0, 0, 0x01, 0x43);

/** `answers` are whole responses, or what makes them, by TPM_CC. */
export function fakeTpm(
  answers: Readonly<Record<number, Uint8Array | ((command: Uint8Array) => Uint8Array)>>,
): FakeTpm {
  const sent: Uint8Array[] = [];
  return {
    sent,
    send: async (command) => {
      sent.push(command);
      const code = new DataView(command.buffer, command.byteOffset).getUint32(6);
      const answer = answers[code] ?? NO_SUCH_COMMAND;
      return typeof answer === 'function' ? answer(command) : answer;
    },
  };
}
