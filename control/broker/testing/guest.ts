// The guest's side of the attestation protocol, in the order of its script, over any byte stream; with a handle at each
// place where an attacker would turn.
import type { Duplex } from 'node:stream';
import { concatBytes, fromHex, toHex, utf8 } from '@ringwall/bytes';
import {
  activationDigest,
  nextKeyHalf,
  qualifyingData,
  releaseText,
  type ReleaseMode,
  type VtpmEvidence,
} from '@ringwall/evidence';
import { maskWithPoint, nameOf, parsePublic, TPM_ALG } from '@ringwall/tpm';
import { LineSplitter } from '../../rpc/index.ts';
import type { UnlockedHow } from '../release.ts';
import { encodeLog, sha256, type BootEvent } from './boot-log.ts';
import type { GuestTpm } from './guest-tpm.ts';

const EVENT_LOG_LINE_BYTES = 1024;

export interface Challenged {
  readonly nonce: Uint8Array;
  readonly machine: string;
  readonly boot: string;
}

export interface Answer {
  readonly lines: readonly string[];
  readonly reasons: readonly string[];
  readonly proven: readonly string[];
}

/** Lines of the broker, one at a time. */
export class BrokerLines {
  readonly #stream: Duplex;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #lines = new LineSplitter(64 * 1024);

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('error', () => undefined);
    this.#iterator = stream.iterator({ destroyOnReturn: false });
  }

  send(text: string): void {
    if (this.#stream.writable) this.#stream.write(text);
  }

  /** Undefined where the broker has ended the session. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const line = this.#lines.next();
      if (line !== undefined) return new TextDecoder().decode(line);
      try {
        const { done, value } = await this.#iterator.next();
        if (done === true) return undefined;
        this.#lines.push(value);
      } catch {
        return undefined;
      }
    }
  }

  /** Up to `end`, or to a line that stands alone. */
  async answer(): Promise<Answer> {
    const lines: string[] = [];
    for (let line = await this.next(); line !== undefined; line = await this.next()) {
      lines.push(line);
      if (line === 'end' || line === 'done' || line.startsWith('challenge ')) break;
    }
    const after = (word: string): string[] =>
      lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
    return { lines, reasons: after('reason'), proven: after('proven') };
  }

  close(): void {
    this.#stream.destroy();
  }
}

export class Guest {
  readonly lines: BrokerLines;
  readonly #tpm: GuestTpm;
  readonly #ekCertificate: Uint8Array;
  #keys: { akPublic: Uint8Array; bootPublic: Uint8Array } | undefined;
  #eventLog: Uint8Array = new Uint8Array();
  #qualifying: Uint8Array = new Uint8Array();
  #first: Uint8Array = new Uint8Array();

  constructor(stream: Duplex, tpm: GuestTpm, ekCertificate: Uint8Array) {
    this.lines = new BrokerLines(stream);
    this.#tpm = tpm;
    this.#ekCertificate = ekCertificate;
  }

  /** A power cycle of the machine. */
  async boot(events: readonly BootEvent[]): Promise<void> {
    this.#eventLog = encodeLog(events);
    this.#keys = await this.#tpm.boot(events);
  }

  /** The same guest on another connection. */
  resume(earlier: Guest): void {
    this.#keys = earlier.#keys;
    this.#eventLog = earlier.#eventLog;
    this.#qualifying = earlier.#qualifying;
    this.#first = earlier.#first;
  }

  async hello(): Promise<Challenged> {
    this.lines.send('hello 1\n');
    const { lines } = await this.lines.answer();
    const [word, nonce, machine, boot] = (lines.at(-1) ?? '').split(' ');
    if (word !== 'challenge' || nonce === undefined || machine === undefined || boot === undefined) {
      throw new Error(`no challenge: ${lines.join('\n')}`);
    }
    return { nonce: fromHex(nonce), machine, boot };
  }

  async evidence(challenged: Challenged): Promise<VtpmEvidence> {
    if (this.#keys === undefined) throw new Error('the machine has not booted');
    const { akPublic, bootPublic } = this.#keys;
    this.#qualifying = await qualifyingData(challenged, await nameOf(bootPublic));
    const certify = await this.#tpm.certify(this.#qualifying);
    const quote = await this.#tpm.quote(this.#qualifying);
    return {
      kind: 'vtpm',
      ekCertificate: this.#ekCertificate,
      akPublic,
      bootPublic,
      certify: certify.attest,
      certifySignature: certify.signature,
      quote: quote.attest,
      quoteSignature: quote.signature,
      eventLog: this.#eventLog,
    };
  }

  async send(evidence: VtpmEvidence): Promise<Answer> {
    this.lines.send(evidenceText(evidence));
    return this.lines.answer();
  }

  /** The disk key that comes out of a release. */
  async open(
    answer: Answer,
    brokerKey: string,
  ): Promise<{ mode: string; key: Uint8Array; next: Uint8Array | undefined }> {
    const [word, mode, ...values] = (answer.lines[0] ?? '').split(' ');
    const parts = values.map((value) => fromHex(value));
    const [idObject, encryptedSecret, ephemeral, masked, r, s] = parts;
    if (word !== 'release' || !isReleaseMode(mode) || parts.length !== 6) {
      throw new Error(`no release: ${answer.lines.join('\n')}`);
    }
    if (idObject === undefined || encryptedSecret === undefined || ephemeral === undefined) throw new Error('short');
    if (masked === undefined || r === undefined || s === undefined) throw new Error('short');
    const text = releaseText({
      qualifyingData: this.#qualifying,
      mode,
      idObject,
      encryptedSecret,
      ephemeral,
      masked,
    });
    if (!(await this.#tpm.verify(fromHex(brokerKey), utf8(text), concatBytes(r, s)))) {
      throw new Error('the release is not signed with the broker key');
    }
    this.#first = await this.#tpm.activate(idObject, encryptedSecret);
    const z = await this.#tpm.zGen(ephemeral);
    const bootKey = parsePublic(this.#keys?.bootPublic ?? new Uint8Array());
    if (bootKey.type !== TPM_ALG.ECC) throw new Error('the boot key is no ECC key');
    const second = await maskWithPoint({ masked, z, ephemeralX: ephemeral.slice(0, 32), key: bootKey });
    const next = second.length === 32 ? undefined : xor(second.subarray(32), await nextKeyHalf(this.#first));
    return { mode, key: xor(second.subarray(0, 32), this.#first), next };
  }

  async reportUnlocked(how: UnlockedHow, boot: string): Promise<Answer> {
    await this.#tpm.extendUnlocked(sha256(utf8(`ringwall unlocked ${boot}\n`)));
    const activation = await activationDigest(this.#qualifying, this.#first);
    this.lines.send(`unlocked ${how} ${toHex(activation)}\n`);
    return this.lines.answer();
  }

  /** Everything, as the initrd does it. */
  async unlock(brokerKey: string): Promise<{
    mode: string;
    key: Uint8Array;
    next: Uint8Array | undefined;
    answer: Answer;
    challenged: Challenged;
  }> {
    const challenged = await this.hello();
    const answer = await this.send(await this.evidence(challenged));
    const { mode, key, next } = await this.open(answer, brokerKey);
    const how = mode.startsWith('rotate') ? 'rotated' : mode.startsWith('format') ? 'formatted' : 'opened';
    return { mode, key, next, answer: await this.reportUnlocked(how, challenged.boot), challenged };
  }
}

function isReleaseMode(word: string | undefined): word is ReleaseMode {
  return word !== undefined && /^(open|format|rotate)(-authenticated)?$/.test(word);
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, index) => byte ^ (right[index] ?? 0));
}

export function evidenceText(evidence: VtpmEvidence): string {
  const lines = [
    'evidence',
    `ek-certificate ${toHex(evidence.ekCertificate)}`,
    `ak-public ${toHex(evidence.akPublic)}`,
    `boot-public ${toHex(evidence.bootPublic)}`,
    `certify ${toHex(evidence.certify)} ${toHex(evidence.certifySignature)}`,
    `quote ${toHex(evidence.quote)} ${toHex(evidence.quoteSignature)}`,
  ];
  for (let at = 0; at < evidence.eventLog.length; at += EVENT_LOG_LINE_BYTES) {
    lines.push(`event-log ${toHex(evidence.eventLog.subarray(at, at + EVENT_LOG_LINE_BYTES))}`);
  }
  return `${[...lines, 'end'].join('\n')}\n`;
}
