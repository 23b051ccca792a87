// The exit codes of the command line, in one table: help prints it, errors are mapped to it, scripts rely on it.
import { RingwallError, type ErrorCode } from '@ringwall/api/errors';

export interface ExitCode {
  readonly code: number;
  readonly name: string;
  readonly meaning: string;
}

export const EXIT_CODES = {
  ok: { code: 0, name: 'ok', meaning: 'it was done' },
  failed: { code: 1, name: 'failed', meaning: 'it was tried and failed' },
  usage: { code: 2, name: 'usage', meaning: 'the command line or a value in it makes no sense' },
  notFound: { code: 3, name: 'not found', meaning: 'no such machine, image, drill or file' },
  refused: { code: 4, name: 'refused', meaning: 'evidence or a proof was judged, and refused' },
  hostLacks: { code: 5, name: 'host lacks', meaning: 'this host lacks a component, memory, disk or a right' },
  unavailable: { code: 6, name: 'unavailable', meaning: 'a service does not answer, or does not answer you' },
  conflict: { code: 7, name: 'conflict', meaning: 'the name is taken, or the state it is in forbids it' },
  timeout: { code: 8, name: 'timeout', meaning: 'the time that it may take is over' },
  unanchored: {
    code: 9,
    name: 'unanchored',
    meaning: 'a proof holds together, but for its broker there is only its own word',
  },
  interrupted: { code: 130, name: 'interrupted', meaning: 'you pressed ctrl-C' },
} as const satisfies Record<string, ExitCode>;

export type ExitName = keyof typeof EXIT_CODES;

const EXIT_OF_ERROR: Readonly<Record<ErrorCode, ExitName>> = {
  'bad-request': 'usage',
  'not-found': 'notFound',
  'name-taken': 'conflict',
  'name-invalid': 'usage',
  'spec-invalid': 'usage',
  'image-unknown': 'notFound',
  'image-failed': 'failed',
  'host-lacks': 'hostLacks',
  'host-full': 'hostLacks',
  conflict: 'conflict',
  'policy-invalid': 'usage',
  'network-failed': 'failed',
  'tpm-failed': 'failed',
  'vmm-failed': 'failed',
  'guest-silent': 'timeout',
  'attestation-refused': 'refused',
  'warden-unavailable': 'unavailable',
  'broker-unavailable': 'unavailable',
  'daemon-unavailable': 'unavailable',
  'proof-invalid': 'refused',
  timeout: 'timeout',
  'too-large': 'failed',
  unauthorized: 'unavailable',
  internal: 'failed',
};

/** A code that a newer daemon knows and we do not is a plain failure. */
export function exitCodeOf(error: unknown): number {
  const name: ExitName | undefined = error instanceof RingwallError ? EXIT_OF_ERROR[error.code] : 'failed';
  return EXIT_CODES[name ?? 'failed'].code;
}
