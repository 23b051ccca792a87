// The sentences of the page: for each state what it means and what to do now.
import type { Anchor, EventStatus, LinkState, ProofOutcome, RanFile, Source } from '@ringwall/evidence';
import type { Material, MistakeCode } from './material.ts';

export interface Words {
  readonly title: string;
  readonly means: string;
  readonly todo: string;
}

export const OUTCOMES: Readonly<Record<ProofOutcome, Words>> = {
  proven: {
    title: 'Proven',
    means: 'This machine booted what is expected of it, and all that says so leads back to somebody you named.',
    todo: 'See that the machine and the time are those you asked about. A proof says nothing of later: ask for a new one, and after each restart.',
  },
  unanchored: {
    title: 'Consistent, not proven',
    means:
      'Nothing in this bundle contradicts anything else in it. But anyone can make a bundle that agrees with itself.',
    todo: 'Name the broker that you trust: paste its key below. The key must reach you by another way than this bundle did.',
  },
  refused: {
    title: 'Refused',
    means: 'This machine did not show what is expected of it.',
    todo: 'Give it no secret. The red links say what is different; where that was changed on purpose, its reference values must be renewed before it is trusted again.',
  },
  invalid: {
    title: 'Invalid',
    means:
      'This bundle was altered after it was sealed, is sealed by somebody else, or contradicts itself. Nothing in it can be relied on.',
    todo: 'Give this machine no secret. Get the proof again from its source; where it stays invalid, somebody alters it on its way.',
  },
};

/** Where a broker was named and the proof is unanchored all the same. */
export const NOT_SHOWN: Words = {
  title: 'Consistent, not proven',
  means:
    'The broker that you named sealed this bundle. But something that it rests on is nobody’s word: see the amber links.',
  todo: 'Ask for a new proof once the machine has booted to its end.',
};

export const MISTAKES: Readonly<Record<MistakeCode, Pick<Words, 'title' | 'todo'>>> = {
  empty: { title: 'This file is empty', todo: 'Write the proof again: ringwall prove NAME -o NAME.proof.json' },
  'too-large': {
    title: 'This is larger than any proof',
    todo: 'It was not read. A proof has at most 4.5 MiB, most have 50 KiB: see that you took the right file.',
  },
  'not-known': {
    title: 'This is no proof',
    todo: 'A proof is the JSON file that `ringwall prove` writes, unchanged. See that it was not cut off, converted or packed on its way.',
  },
  'not-a-proof': {
    title: 'This is JSON, but no proof',
    todo: 'A proof is the file that `ringwall prove` writes, unchanged. See that you took the right file.',
  },
  'unknown-version': {
    title: 'This proof is of a version that this page does not know',
    todo: 'Get a newer page from the Ringwall release that made the proof, or judge it with that release’s `ringwall verify`.',
  },
  malformed: {
    title: 'This proof is broken',
    todo: 'It does not have the form that `ringwall prove` gives a proof, so it was not judged. Give the machine no secret, and get the proof again from its source.',
  },
  'bad-anchor': {
    title: 'This cannot be used as something to trust',
    todo: 'The judgement goes on without it. A broker’s key is 128 hexadecimal digits; a vTPM authority is a certificate in PEM or DER; reference values and policy are JSON.',
  },
  unreadable: {
    title: 'The browser could not read this',
    todo: 'See that it is a file that you may read, and not a folder.',
  },
  'too-many': { title: 'These are too many files', todo: 'Drop one proof, and beside it only what you trust.' },
  'too-slow': {
    title: 'This took too long',
    todo: 'No honest proof does. The page has stopped judging it; treat it as invalid.',
  },
  'no-browser': {
    title: 'This browser cannot judge',
    todo: 'Open the page in a current Firefox, Chromium, Edge or Safari, or use `ringwall verify` on the command line.',
  },
};

export const STATES: Readonly<Record<LinkState, string>> = {
  holds: 'holds',
  claimed: 'only a claim',
  broken: 'broken',
  absent: 'not covered',
};

export const SOURCES: Readonly<Record<Source, string>> = {
  caller: 'you gave it',
  broker: 'the broker says so, whose key you gave',
  bundle: 'only the bundle says so',
  nobody: 'nobody says so',
};

/** What an anchor is, and how a person comes by one. */
export const ANCHORS: Readonly<Record<Anchor['id'], string>> = {
  'broker-key':
    'The broker’s key. `ringwall prove` prints it on the host; take it from the operator by another way than the bundle.',
  'vtpm-ca': 'The authority that certifies the TPMs of this host. Optional once the broker is named.',
  reference: 'What firmware, kernel and image should measure. Your own values are better than anybody’s word.',
  policy: 'Which registers must be shown. Your own policy may demand more than the broker’s.',
  activation: 'That the signing key is inside the certified TPM. It shows only to the broker, while the machine boots.',
  watch: 'When the list of what ran was asked for. Only the broker saw when it asked.',
  host: 'What the host is: its TPM’s key, its boot, the files that start machines. Whoever enrolled it saw it once; a file of `ringwall reference host` that you have from them is better than the bundle’s.',
  freshness: 'That the answer was made for this question. Only the broker saw when it asked.',
};

export const KINDS: Readonly<Record<Material['kind'], string>> = {
  proof: 'proof',
  'broker-key': 'broker key',
  'vtpm-ca': 'vTPM authority',
  reference: 'reference values',
  'reference-key': 'reference key',
  host: 'reference values of a host',
  policy: 'policy',
};

export const RAN_STATUSES: Readonly<Record<Exclude<RanFile['status'], 'expected'>, string>> = {
  unknown: 'not of the image',
  changed: 'changed while it was measured',
};

export const EVENT_STATUSES: Readonly<Record<EventStatus, string>> = {
  expected: 'as expected',
  allowed: 'differs, as the policy allows',
  unexpected: 'nothing expects it',
  missing: 'never measured',
  altered: 'differs',
  denied: 'the policy denies it',
  'not-measured': 'not a measurement',
};
