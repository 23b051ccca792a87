// What reference values of machines and of hosts have in common once somebody stands for them: who says so, until when, an id
// and a signature. The id names the content, and neither who says it nor until when: the same content has the same id whoever
// computed it, and one that is signed again after it expired is the same one.
import { toHex } from '@ringwall/bytes';
import { digest } from '@ringwall/tpm';
import type { JsonValue } from './canonical-json.ts';
import { fails, holds, type Answer } from './checks.ts';
import { ClosedObject, deepFreeze } from './json.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { short } from './keys.ts';
import { CLOCK_SKEW_SECONDS } from './policy.ts';
import { refuseReference } from './reference.ts';
import { POINT_BYTES, SIGNATURE_BYTES, signedText, verifySigned, type Signer } from './signer.ts';

const MAX_NAME_CHARACTERS = 128;
/** Beyond this, "expiring" means nothing. */
const MAX_LIFE_MS: number = 2 * 366 * 24 * 3600 * 1000;

/** What somebody says beside the content. */
export interface Vouched {
  /** For people: who made it. The key is what counts. */
  readonly by: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface SignedBy<Format extends string> extends Vouched {
  readonly format: Format;
  /** A prefix for what it is, and the SHA-256 of the content. */
  readonly id: string;
  /** P-256, X and Y. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

type Json = { readonly [key: string]: JsonValue };

export interface ManifestKind<Format extends string, Content extends object> {
  readonly format: Format;
  /** As messages name the file, and as sentences name what is in it. */
  readonly words: { readonly file: string; readonly values: string };
  /** Before the digest in an id, and before the content in what is digested. */
  readonly id: { readonly prefix: string; readonly text: string };
  readonly limitBytes: number;
  readonly json: (content: Content) => Json;
  readonly read: (object: ClosedObject) => Content;
}

/** Signs, reads, writes and checks manifests of one kind. */
export class ManifestFormat<Format extends string, Content extends object> {
  readonly #kind: ManifestKind<Format, Content>;
  /** What came out of the parser, frozen: it need not be read again, and its signature not be checked again. */
  readonly #parsed = new WeakSet<Content & SignedBy<Format>>();
  readonly #checked = new WeakMap<Content & SignedBy<Format>, Answer>();

  constructor(kind: ManifestKind<Format, Content>) {
    this.#kind = kind;
  }

  /** Throws EvidenceError where nobody could read the result. */
  async sign(unsigned: Content & Vouched, signer: Signer): Promise<Content & SignedBy<Format>> {
    const manifest = {
      ...unsigned,
      format: this.#kind.format,
      id: await this.idOf(unsigned),
      publicKey: new Uint8Array(signer.publicKey),
      signature: new Uint8Array(SIGNATURE_BYTES),
    };
    const signature = new Uint8Array(await signer.sign(this.#signed(manifest)));
    return this.decode(this.encode({ ...manifest, signature }));
  }

  async idOf(content: Content): Promise<string> {
    const { id, json } = this.#kind;
    return `${id.prefix}${toHex(await digest('sha256', signedText(id.text, json(content))))}`;
  }

  /** From JSON. It says only that the value has the form, nothing about its truth. Throws EvidenceError. */
  parse(value: unknown): Content & SignedBy<Format> {
    const { format, words, id, read } = this.#kind;
    const object = new ClosedObject(value, words.file, refuseReference);
    const by = object.object('by');
    const manifest = {
      format: object.oneOf('format', [format]),
      id: object.matching('id', new RegExp(`^${id.prefix}[0-9a-f]{64}$`), `the id of ${words.values}`),
      by: by.string('name', MAX_NAME_CHARACTERS),
      ...read(object),
      notBefore: object.time('notBefore'),
      notAfter: object.time('notAfter'),
      publicKey: by.hexBytes('publicKey', POINT_BYTES),
      signature: object.hexBytes('signature', SIGNATURE_BYTES),
    };
    by.end();
    object.end();
    const lifeMs = manifest.notAfter.getTime() - manifest.notBefore.getTime();
    if (lifeMs <= 0) refuseReference(`${words.file}.notAfter is not after notBefore`);
    if (lifeMs > MAX_LIFE_MS) refuseReference(`${words.file}.notAfter is more than two years after notBefore`);
    this.#parsed.add(deepFreeze(manifest));
    return manifest;
  }

  /** The same where it came out of the parser, else a copy that does: a caller in JavaScript can hand in anything. */
  parsed(given: Content & SignedBy<Format>): Content & SignedBy<Format> {
    return this.#parsed.has(given) ? given : this.parse(this.json(given));
  }

  /** From a file's text. Throws EvidenceError. */
  decode(input: string | Uint8Array): Content & SignedBy<Format> {
    return this.parse(decodeJsonFile(this.#file, input));
  }

  /** As a file. Throws EvidenceError `too-large`. */
  encode(manifest: Content & SignedBy<Format>): string {
    return encodeJsonFile(this.#file, this.json(manifest));
  }

  json(manifest: Content & SignedBy<Format>): Json {
    return { ...this.#claims(manifest), signature: toHex(manifest.signature) };
  }

  /** Whether id and signature are those of this content and of the key in it. Whose key that is, is another question. */
  async checkSignature(manifest: Content & SignedBy<Format>): Promise<Answer> {
    // A broker judges by the same few manifests again and again. Only what came out of the parser is frozen, and can be.
    if (!this.#parsed.has(manifest)) return this.#check(manifest);
    const known = this.#checked.get(manifest);
    if (known !== undefined) return known;
    const answer = await this.#check(manifest);
    this.#checked.set(manifest, answer);
    return answer;
  }

  async #check(manifest: Content & SignedBy<Format>): Promise<Answer> {
    const { values } = this.#kind.words;
    if ((await this.idOf(manifest)) !== manifest.id) return fails(`the id of ${values} is not that of their content`);
    if (!(await verifySigned(manifest.publicKey, manifest.signature, this.#signed(manifest)))) {
      return fails(`the signature of ${values} does not hold`);
    }
    return holds(`signed by ${short(manifest.publicKey)}`);
  }

  #signed(manifest: Content & SignedBy<Format>): Uint8Array<ArrayBuffer> {
    return signedText(this.#kind.format, this.#claims(manifest));
  }

  #claims(manifest: Content & SignedBy<Format>): Json {
    return {
      format: manifest.format,
      id: manifest.id,
      by: { name: manifest.by, publicKey: toHex(manifest.publicKey) },
      ...this.#kind.json(manifest),
      notBefore: manifest.notBefore.toISOString(),
      notAfter: manifest.notAfter.toISOString(),
    };
  }

  get #file(): Parameters<typeof decodeJsonFile>[0] {
    const { words, limitBytes } = this.#kind;
    return { what: words.file, limitBytes, invalid: 'reference-invalid' };
  }
}

/** Whether it counted at `at`. */
export function checkReferenceTime({ notBefore, notAfter }: Pick<Vouched, 'notBefore' | 'notAfter'>, at: Date): Answer {
  const seconds = Math.floor(at.getTime() / 1000);
  if (seconds + CLOCK_SKEW_SECONDS < notBefore.getTime() / 1000) {
    return fails(`the reference values count only from ${notBefore.toISOString()}`);
  }
  if (at.getTime() > notAfter.getTime()) return fails(`the reference values expired on ${notAfter.toISOString()}`);
  return holds(`until ${notAfter.toISOString()}`);
}
