// The guest's part of the attestation protocol, version 1 (docs/protocols/attestation.md), spoken for a guest that does not
// know it. What comes in is the broker's, through a relay that is trusted with nothing: nothing is released to this side,
// and a credential of anybody's may be opened here, since it only shows which TPM this is.
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex, toHex, utf8 } from '@ringwall/bytes';
import type { Challenge, VtpmEvidence } from '@ringwall/evidence';
import type { Credential } from '@ringwall/tpm';
import type { Answer } from './evidence.ts';

/** As the protocol has it. */
const LINE_LIMIT_BYTES = 4096;
const LOG_LINE_BYTES = 1024;
/** A `hello` that nobody answers is said again. */
const HELLO_MS = 2_000;
/** Challenges that are answered in one session; each costs the TPM some signatures. */
const MAX_ANSWERS = 8;

const CHALLENGE = /^challenge ([0-9a-f]{64}) ([a-z][a-z0-9_-]{0,62}) ([0-9a-f]{32})$/;
const RELEASE =
  /^release (open|format) ([0-9a-f]{136}) ([0-9a-f]{136}) [0-9a-f]{128} [0-9a-f]{64} [0-9a-f]{64} [0-9a-f]{64}$/;

export interface SpokenFor {
  answer(challenge: Challenge): Promise<Answer>;
  activate(qualifying: Uint8Array, credential: Credential): Promise<Uint8Array>;
}

/** `undecided`: the other end closed before the broker had said what it thinks. */
export type Spoken = 'over' | 'refused' | 'undecided';

/** One session. Never rejects for what the other end does. */
export async function speak(stream: Duplex, guest: SpokenFor): Promise<Spoken> {
  const greeting = new AbortController();
  void greet(stream, greeting.signal);
  try {
    let last: Answer | undefined;
    let release: { readonly mode: string; readonly credential: Credential } | undefined;
    let refused = false;
    let answers = 0;
    for await (const line of linesOf(stream)) {
      const [, nonce, machine, boot] = CHALLENGE.exec(line) ?? [];
      const [, mode, idObject, encryptedSecret] = RELEASE.exec(line) ?? [];
      if (nonce !== undefined && machine !== undefined && boot !== undefined) {
        greeting.abort();
        answers += 1;
        if (answers > MAX_ANSWERS) return 'undecided';
        last = await guest.answer({ nonce: fromHex(nonce), machine, boot });
        stream.write(evidenceLines(last.evidence));
      } else if (mode !== undefined && idObject !== undefined && encryptedSecret !== undefined) {
        release = { mode, credential: { idObject: fromHex(idObject), encryptedSecret: fromHex(encryptedSecret) } };
      } else if (line === 'refused') {
        refused = true;
      } else if (line === 'done') {
        return 'over';
      } else if (line === 'end') {
        if (refused) return 'refused';
        if (last === undefined || release === undefined) return 'undecided';
        const activation = await guest.activate(last.qualifying, release.credential);
        stream.write(`unlocked ${release.mode === 'open' ? 'opened' : 'formatted'} ${toHex(activation)}\n`);
      }
    }
    return refused ? 'refused' : 'undecided';
  } catch (error) {
    // What the TPM refuses is told: the machine would else seem to be silent.
    if (stream.writable) stream.write(utf8(`failed ${sentenceOf(error)}\n`));
    return 'undecided';
  } finally {
    greeting.abort();
    stream.end();
    stream.resume();
  }
}

async function greet(stream: Duplex, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && stream.writable) {
    stream.write('hello 1\n');
    await sleep(HELLO_MS, undefined, { ref: false, signal }).catch(() => undefined);
  }
}

function evidenceLines(evidence: VtpmEvidence): string {
  const { eventLog } = evidence;
  const logLines = Array.from({ length: Math.ceil(eventLog.length / LOG_LINE_BYTES) }, (_, index) => {
    const at = index * LOG_LINE_BYTES;
    return `event-log ${toHex(eventLog.subarray(at, at + LOG_LINE_BYTES))}`;
  });
  const lines = [
    'evidence',
    `ek-certificate ${toHex(evidence.ekCertificate)}`,
    `ak-public ${toHex(evidence.akPublic)}`,
    `boot-public ${toHex(evidence.bootPublic)}`,
    `certify ${toHex(evidence.certify)} ${toHex(evidence.certifySignature)}`,
    `quote ${toHex(evidence.quote)} ${toHex(evidence.quoteSignature)}`,
    ...logLines,
    'end',
  ];
  return `${lines.join('\n')}\n`;
}

/** Ends with the stream, or at a line that is none of the protocol. */
async function* linesOf(stream: Duplex): AsyncGenerator<string> {
  let rest = '';
  // Whoever stops listening may still have something to say.
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    rest += Buffer.from(chunk).toString('latin1');
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
    if (rest.length > LINE_LIMIT_BYTES) return;
  }
}

function sentenceOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return `its TPM could not be asked: ${words}`.replaceAll(/[^\x20-\x7e]+/g, '?').slice(0, 1000);
}
