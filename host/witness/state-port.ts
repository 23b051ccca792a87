// How whoever saves a machine speaks to its witness, and how that answers: one question for each connection, which is half closed behind
// it, then one answer. Both ends may be broken into: neither holds more than a saved witness is, nor waits for ever.
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { MAX_SAVED_WITNESS_BYTES } from './saved-state.ts';

/** The first byte of a question, and of an answer. */
const ASK = { save: 1, load: 2 } as const;
const ANSWER = { done: 0, notYet: 1, failed: 2 } as const;
/** The TPM's own answers are bounded by as much (control-channel.ts). */
const TIMEOUT_MS = 30_000;
const MAX_WORDS = 300;

export interface StateAnswers {
  /** Undefined where it cannot be saved yet. */
  readonly save: () => Promise<Uint8Array | undefined>;
  readonly load: (saved: Uint8Array) => Promise<void>;
}

/** `states` lets its clients close their half first. */
export function answerStates(states: Server, answers: StateAnswers): void {
  states.on('connection', (socket: Socket) => {
    socket.on('error', () => socket.destroy());
    void answer(socket, answers);
  });
}

/** Throws `conflict` where the firmware has not handed over yet, or its boot is still judged. */
export async function saveWitness(witness: Duplex): Promise<Uint8Array> {
  const { code, contents } = await ask(witness, Buffer.of(ASK.save));
  if (code === ANSWER.done) return contents;
  if (code === ANSWER.notYet) {
    throw new RingwallError('conflict', 'the machine is still in its firmware, or its boot is still judged', {
      hint: 'save it once its system runs: ringwall show NAME',
    });
  }
  throw new RingwallError('tpm-failed', `its witness cannot be saved: ${wordsOf(contents)}`, {
    hint: 'stop it and start it, so that it is measured anew',
  });
}

/** Throws `proof-invalid` where record and TPM do not belong together, or are none. */
export async function loadWitness(witness: Duplex, saved: Uint8Array): Promise<void> {
  const { code, contents } = await ask(witness, Buffer.concat([Buffer.of(ASK.load), saved]));
  if (code === ANSWER.done) return;
  throw new RingwallError('proof-invalid', `the witness does not go on from the snapshot: ${wordsOf(contents)}`, {
    hint: 'nothing of it was used; the machine is as it was',
  });
}

async function answer(socket: Socket, { save, load }: StateAnswers): Promise<void> {
  try {
    const asked = await readAll(socket);
    if (asked[0] === ASK.load) await load(new Uint8Array(asked.subarray(1)));
    const saved = asked[0] === ASK.load ? new Uint8Array() : asked[0] === ASK.save ? await save() : undefined;
    socket.end(saved === undefined ? Buffer.of(ANSWER.notYet) : Buffer.concat([Buffer.of(ANSWER.done), saved]));
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    if (socket.writable) socket.end(Buffer.concat([Buffer.of(ANSWER.failed), Buffer.from(words)]));
  }
}

async function ask(
  witness: Duplex,
  question: Uint8Array,
): Promise<{ readonly code: number; readonly contents: Buffer }> {
  witness.end(question);
  const answered = await readAll(witness);
  // No answer at all is none of these.
  return { code: answered[0] ?? ANSWER.failed, contents: answered.subarray(1) };
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const late = new RingwallError('timeout', `the witness did not answer within ${TIMEOUT_MS / 1000} s`);
  const timer = setTimeout(() => stream.destroy(late), TIMEOUT_MS);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of stream.iterator({ destroyOnReturn: false })) {
      if (!(piece instanceof Uint8Array)) throw new TypeError('a stream of bytes was expected');
      bytes += piece.length;
      if (bytes > MAX_SAVED_WITNESS_BYTES + 1) {
        stream.destroy();
        throw new RingwallError('tpm-failed', `more than the ${MAX_SAVED_WITNESS_BYTES} bytes of a saved witness`);
      }
      pieces.push(piece);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(pieces);
}

/** What a witness says may be its guest's words. */
function wordsOf(contents: Buffer): string {
  return contents
    .subarray(0, MAX_WORDS)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]+/g, '?');
}
