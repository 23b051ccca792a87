// A broker for tests of the guest: speaks the attestation protocol by a script, can misbehave at each step, and judges
// only what the guest alone decides: that quote and certificate are over the right data, and that the log replays.
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { equalBytes, fromHex, toHex } from '@ringwall/bytes';
import { activationDigest, qualifyingData, releaseText, type ReleaseMode, type VtpmEvidence } from '@ringwall/evidence';
import { makeCredential, nameOf, parsePublic, wrapToEccKey } from '@ringwall/tpm';
import type { TestTpm } from './tpm.ts';

export const TEST_MACHINE = 'mch_aaaaaaaaaaaaaaaaaaaa';
const LINE_TIMEOUT_MS = 300_000;

export class BrokerDouble {
  readonly tpm: TestTpm;
  readonly diskKey: Uint8Array = new Uint8Array(randomBytes(32));
  readonly #signing: CryptoKeyPair;
  /** X and Y, as the command line names them. */
  readonly publicKey: string;

  private constructor(tpm: TestTpm, signing: CryptoKeyPair, publicKey: string) {
    this.tpm = tpm;
    this.#signing = signing;
    this.publicKey = publicKey;
  }

  static async create(tpm: TestTpm): Promise<BrokerDouble> {
    const signing = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const point = new Uint8Array(await crypto.subtle.exportKey('raw', signing.publicKey));
    return new BrokerDouble(tpm, signing, toHex(point.subarray(1)));
  }

  /** Sends a challenge, takes the evidence and checks that it answers that challenge. */
  async receiveEvidence(session: Session): Promise<{ evidence: VtpmEvidence; qualifying: Uint8Array; boot: string }> {
    await session.hello();
    const challenge = { nonce: new Uint8Array(randomBytes(32)), machine: TEST_MACHINE, boot: toHex(randomBytes(16)) };
    session.send(`challenge ${toHex(challenge.nonce)} ${challenge.machine} ${challenge.boot}`);
    const evidence = await session.evidence();
    const qualifying = await qualifyingData(challenge, await nameOf(evidence.bootPublic));
    return { evidence, qualifying, boot: challenge.boot };
  }

  /** The line of a release, and how a guest reports that it opened it. */
  async release(
    evidence: VtpmEvidence,
    qualifying: Uint8Array,
    mode: ReleaseMode,
  ): Promise<{ line: string; activation: string }> {
    const secret = new Uint8Array(randomBytes(32));
    const half = this.diskKey.map((byte, index) => byte ^ (secret[index] ?? 0));
    const akName = await nameOf(evidence.akPublic);
    const credential = await makeCredential({ ekPublic: this.tpm.ekPublic, akName, secret });
    const wrapped = await wrapToEccKey({ public: parsePublic(evidence.bootPublic), secret: half });
    const release = { qualifyingData: qualifying, mode, ...credential, ...wrapped };
    const signature = new Uint8Array(
      await crypto.subtle.sign(
        { name: 'ECDSA', hash: 'SHA-256' },
        this.#signing.privateKey,
        new TextEncoder().encode(releaseText(release)),
      ),
    );
    const parts = [release.idObject, release.encryptedSecret, release.ephemeral, release.masked];
    const hex = [...parts, signature.slice(0, 32), signature.slice(32)].map((part) => toHex(part));
    const activation = toHex(await activationDigest(qualifying, secret));
    return { line: ['release', mode, ...hex].join(' '), activation };
  }

  /** The whole conversation of a good boot. */
  async serve(
    session: Session,
    mode: ReleaseMode,
  ): Promise<{ how: 'opened' | 'formatted'; evidence: VtpmEvidence; boot: string }> {
    const { evidence, qualifying, boot } = await this.receiveEvidence(session);
    if (!equalBytes(evidence.ekCertificate, this.tpm.ekCertificate)) throw new Error('another EK certificate');
    const { line, activation } = await this.release(evidence, qualifying, mode);
    session.send(line);
    session.send('name testguest', 'proven It boots what the test built.', 'end');
    const how = await session.unlocked(activation);
    session.send('done');
    return { how, evidence, boot };
  }
}

/** The broker's end of the port, as lines. */
export class Session {
  readonly #socket: Socket;
  #text = '';
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    });
  }

  send(...lines: readonly string[]): void {
    this.#socket.write(lines.map((line) => `${line}\n`).join(''));
  }

  raw(bytes: string): void {
    this.#socket.write(bytes, 'latin1');
  }

  async line(timeoutMs: number = LINE_TIMEOUT_MS): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      if (Date.now() > deadline) throw new Error(`no line from the guest; so far: ${this.#text.slice(0, 200)}`);
      await new Promise<void>((done) => {
        const timer = setTimeout(done, Math.min(1000, timeoutMs));
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
  }

  /** Waits for a guest that begins, or begins anew. */
  async hello(): Promise<void> {
    for (;;) {
      const line = await this.line();
      if (line === 'hello 1') return;
      if (line.startsWith('failed ')) throw new Error(`the guest says: ${line}`);
    }
  }

  async unlocked(activation: string): Promise<'opened' | 'formatted'> {
    const line = await this.line();
    if (line === `unlocked opened ${activation}`) return 'opened';
    if (line === `unlocked formatted ${activation}`) return 'formatted';
    throw new Error(`expected unlocked and the activation digest, got ${line}`);
  }

  async evidence(): Promise<VtpmEvidence> {
    const fields = new Map<string, string[]>();
    let log = '';
    if ((await this.line()) !== 'evidence') throw new Error('no evidence');
    for (let line = await this.line(); line !== 'end'; line = await this.line()) {
      const [name = '', ...values] = line.split(' ');
      if (name === 'event-log') log += values.join('');
      else fields.set(name, values);
    }
    const field = (name: string, index = 0): Uint8Array => fromHex(fields.get(name)?.[index] ?? '', name);
    return {
      kind: 'vtpm',
      ekCertificate: field('ek-certificate'),
      akPublic: field('ak-public'),
      bootPublic: field('boot-public'),
      certify: field('certify'),
      certifySignature: field('certify', 1),
      quote: field('quote'),
      quoteSignature: field('quote', 1),
      eventLog: fromHex(log, 'event-log'),
    };
  }
}
