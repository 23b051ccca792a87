// Replay of IMA's binary measurement list (Linux security/integrity/ima/ima_fs.c, `binary_runtime_measurements`), in
// chunks of any size and with bounded memory. The machine that is judged wrote the list: each entry is worth something
// only where the aggregate after it is the PCR that a TPM signed, and then it stands for good.

import { ParseError } from '@ringwall/bytes';
import { PCR_COUNT } from '../constants.ts';
import {
  checkImaFields,
  imaTemplate,
  MAX_IMA_TEMPLATE_DATA_BYTES,
  MAX_IMA_TEMPLATE_NAME_BYTES,
  OLD_DIGEST_BYTES,
  OLD_NAME_BYTES,
  oldImaFields,
  parseImaFields,
  type ImaFields,
  type ImaTemplate,
} from './ima-template.ts';
import { Sha1, SHA1_BYTES } from './sha1.ts';
import { Sha256, SHA256_BYTES } from '../sha256.ts';

/** A machine that measures every file that runs reaches some ten thousand; the bound is on the time of a replay. */
export const MAX_IMA_ENTRIES = 1_000_000;
/** CONFIG_IMA_MEASURE_PCR_IDX, as every distribution has it. */
const IMA_PCR = 10;
/** What is read at once; a larger entry makes the buffer grow to its size. */
const INITIAL_BUFFER_BYTES = 64 * 1024;
const HEADER_BYTES = 8;
/** A digest is made at once, so one of each serves all replays. */
const SHA1 = new Sha1();
const SHA256 = new Sha256();
const NO_TEMPLATE: ImaTemplate = { name: '', fields: [] };

export type ImaBank = 'sha1' | 'sha256';

/** Where a replay stands after a whole number of entries: all that an increment of the list needs to go on. */
export interface ImaState {
  readonly entries: number;
  /** Of the binary list, up to the end of the last whole entry. */
  readonly bytes: number;
  /** Entries that say a file changed while it was measured, or could not be measured. */
  readonly violations: number;
  /** PCR 10 of both banks. */
  readonly sha1: Uint8Array;
  readonly sha256: Uint8Array;
}

/** One entry, its template digest already recomputed. `index` counts from 0 since boot. */
export interface ImaEntry extends ImaFields {
  readonly index: number;
  readonly pcr: number;
  readonly template: string;
  readonly templateDigest: Uint8Array;
  readonly violation: boolean;
}

export interface ImaReplayOptions {
  /** Where an earlier replay stood; the start of the list where absent. */
  readonly from?: ImaState;
  /** The hash of the template digests in the list: SHA-1, but for `binary_runtime_measurements_sha256`. */
  readonly templateHash?: ImaBank;
  readonly pcr?: number;
  /** Counted since boot, as `entries` is. */
  readonly maxEntries?: number;
  /** A quoted PCR: `matched` is the state after the first entry where the aggregate equals it. */
  readonly quoted?: { readonly bank: ImaBank; readonly value: Uint8Array };
  /** Sees each entry, when `state` stands after it; decoding them costs as much again as the replay. */
  readonly onEntry?: (entry: ImaEntry) => void;
}

/** The PCR as a TPM starts it, before the kernel has measured anything. */
export const IMA_START: ImaState = {
  entries: 0,
  bytes: 0,
  violations: 0,
  sha1: new Uint8Array(SHA1_BYTES),
  sha256: new Uint8Array(SHA256_BYTES),
};

/**
 * Takes the list in chunks: `push` each, then `end`. Both throw `ParseError`: a template digest that is not that of its
 * data, another PCR, a field beyond its limit. After an error nothing more is taken.
 */
export class ImaReplay {
  readonly #options: ImaReplayOptions;
  /** The aggregate of each bank, and behind it room for what extends it. */
  readonly #sha1Register = new DataView(new ArrayBuffer(2 * SHA1_BYTES));
  readonly #sha256Register = new DataView(new ArrayBuffer(2 * SHA256_BYTES));
  readonly #oldTemplate = new DataView(new ArrayBuffer(OLD_DIGEST_BYTES + OLD_NAME_BYTES));
  readonly #templateHashBytes: number;
  readonly #quoted: DataView | undefined;
  /** Made with the first bytes: most increments of a list have none. */
  #buffer = new Uint8Array(0);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  /** Bytes of the current entry that must be there before it is worth looking again. */
  #needed = HEADER_BYTES;
  #entries: number;
  #bytes: number;
  #violations: number;
  #template = NO_TEMPLATE;
  #templateName = new Uint8Array(0);
  #matched: ImaState | undefined;
  #failure: ParseError | undefined;

  constructor(options: ImaReplayOptions = {}) {
    const from = options.from ?? IMA_START;
    this.#options = options;
    this.#templateHashBytes = options.templateHash === 'sha256' ? SHA256_BYTES : SHA1_BYTES;
    this.#entries = from.entries;
    this.#bytes = from.bytes;
    this.#violations = from.violations;
    bytesOf(this.#sha1Register).set(from.sha1.subarray(0, SHA1_BYTES));
    bytesOf(this.#sha256Register).set(from.sha256.subarray(0, SHA256_BYTES));
    const { quoted } = options;
    if (quoted !== undefined) {
      if (quoted.value.length !== this.#register(quoted.bank).byteLength / 2) {
        throw new ParseError('invalid', 'quoted', 0, `has ${quoted.value.length} bytes, expected a ${quoted.bank} PCR`);
      }
      this.#quoted = new DataView(new Uint8Array(quoted.value).buffer);
      this.#compare();
    }
  }

  get state(): ImaState {
    return {
      entries: this.#entries,
      bytes: this.#bytes,
      violations: this.#violations,
      sha1: bytesOf(this.#sha1Register).slice(0, SHA1_BYTES),
      sha256: bytesOf(this.#sha256Register).slice(0, SHA256_BYTES),
    };
  }

  /** The state when the aggregate equalled `quoted`; undefined as long as it did not. */
  get matched(): ImaState | undefined {
    return this.#matched;
  }

  push(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      if (this.#buffer.length === 0 && chunk.length > 0) this.#grow(INITIAL_BUFFER_BYTES);
      let taken = 0;
      while (taken < chunk.length) {
        const room = Math.min(this.#buffer.length - this.#end, chunk.length - taken);
        this.#buffer.set(chunk.subarray(taken, taken + room), this.#end);
        this.#end += room;
        taken += room;
        while (this.#end - this.#start >= this.#needed) this.#advance();
        this.#makeRoom();
      }
    } catch (error) {
      if (error instanceof ParseError) this.#failure = error;
      throw error;
    }
  }

  /** The list is over: a part of an entry that is left is refused. */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const left = this.#end - this.#start;
    if (left > 0) this.#fail('truncated', 'entry', `has ${left} bytes, expected at least ${this.#needed}`);
  }

  /** One step of one entry: asks for more bytes, or takes the whole entry. */
  #advance(): void {
    const view = this.#view;
    const nameAt = this.#start + 4 + this.#templateHashBytes + 4;
    if (this.#lacks(nameAt)) return;
    const nameLength = view.getUint32(nameAt - 4, true);
    if (nameLength === 0 || nameLength > MAX_IMA_TEMPLATE_NAME_BYTES) {
      this.#fail('limit', 'template name', `has ${nameLength} bytes, expected 1 to ${MAX_IMA_TEMPLATE_NAME_BYTES}`);
    }
    const dataAt = nameAt + nameLength + 4;
    if (this.#lacks(dataAt)) return;
    this.#readTemplate(nameAt, nameLength);
    if (this.#template.name === 'ima') this.#takeOld(nameAt + nameLength);
    else this.#take(dataAt, view.getUint32(dataAt - 4, true));
  }

  /** An entry whose data has a length in front, and a length in front of each field; the hash is over all of it. */
  #take(dataAt: number, dataLength: number): void {
    if (dataLength > MAX_IMA_TEMPLATE_DATA_BYTES) {
      this.#fail('limit', 'template data', `has ${dataLength} bytes, expected at most ${MAX_IMA_TEMPLATE_DATA_BYTES}`);
    }
    const end = dataAt + dataLength;
    if (this.#lacks(end)) return;
    checkImaFields(this.#template, this.#view, dataAt, end, this.#bytes - this.#start);
    this.#extend(this.#view, dataAt, end, end, () =>
      parseImaFields(this.#template, this.#buffer.slice(dataAt, end), this.#bytes + dataAt - this.#start),
    );
  }

  /** An entry of the template `ima`: a digest, a length, a name; hashed as if the name had 256 bytes. */
  #takeOld(digestAt: number): void {
    const nameAt = digestAt + OLD_DIGEST_BYTES + 4;
    if (this.#lacks(nameAt)) return;
    const nameLength = this.#view.getUint32(nameAt - 4, true);
    if (nameLength >= OLD_NAME_BYTES) {
      this.#fail('limit', 'event name', `has ${nameLength} bytes, expected at most ${OLD_NAME_BYTES - 1}`);
    }
    const end = nameAt + nameLength;
    if (this.#lacks(end)) return;
    const hashed = bytesOf(this.#oldTemplate).fill(0);
    hashed.set(this.#buffer.subarray(digestAt, digestAt + OLD_DIGEST_BYTES));
    hashed.set(this.#buffer.subarray(nameAt, end), OLD_DIGEST_BYTES);
    this.#extend(this.#oldTemplate, 0, hashed.length, end, () =>
      oldImaFields(
        this.#buffer.slice(digestAt, digestAt + OLD_DIGEST_BYTES),
        this.#buffer.slice(nameAt, end),
        this.#bytes,
      ),
    );
  }

  /** Checks the template digest and extends both banks, ima_add_template_entry() of ima_queue.c. */
  #extend(data: DataView, from: number, to: number, end: number, decode: () => ImaFields): void {
    const digestAt = this.#start + 4;
    const pcr = this.#view.getUint32(this.#start, true);
    const expected = this.#options.pcr ?? IMA_PCR;
    if (pcr !== expected || pcr >= PCR_COUNT) this.#fail('invalid', 'pcr', `${pcr}, expected ${expected}`);
    if (this.#entries === (this.#options.maxEntries ?? MAX_IMA_ENTRIES)) {
      this.#fail('limit', 'entries', `${this.#entries} and more, expected at most as many`);
    }
    const sha1 = this.#sha1Register;
    const sha256 = this.#sha256Register;
    const violation = this.#isViolation(digestAt);
    if (violation) {
      bytesOf(sha1).fill(0xff, SHA1_BYTES);
      bytesOf(sha256).fill(0xff, SHA256_BYTES);
      this.#violations += 1;
    } else {
      SHA1.digest(data, from, to, sha1, SHA1_BYTES);
      SHA256.digest(data, from, to, sha256, SHA256_BYTES);
      const recomputed = this.#templateHashBytes === SHA256_BYTES ? sha256 : sha1;
      if (!isEqual(this.#view, digestAt, recomputed, this.#templateHashBytes, this.#templateHashBytes)) {
        this.#fail('invalid', 'template digest', 'is not that of the template data: the list was rewritten');
      }
    }
    SHA1.digest(sha1, 0, 2 * SHA1_BYTES, sha1, 0);
    SHA256.digest(sha256, 0, 2 * SHA256_BYTES, sha256, 0);
    const { onEntry } = this.#options;
    const entry = onEntry && {
      ...decode(),
      index: this.#entries,
      pcr,
      template: this.#template.name,
      templateDigest: this.#buffer.slice(digestAt, digestAt + this.#templateHashBytes),
      violation,
    };
    this.#entries += 1;
    this.#bytes += end - this.#start;
    this.#start = end;
    this.#needed = HEADER_BYTES;
    this.#compare();
    if (entry !== undefined) onEntry?.(entry);
  }

  #compare(): void {
    const { quoted } = this.#options;
    if (this.#quoted === undefined || quoted === undefined || this.#matched !== undefined) return;
    if (isEqual(this.#quoted, 0, this.#register(quoted.bank), 0, this.#quoted.byteLength)) this.#matched = this.state;
  }

  #register(bank: ImaBank): DataView {
    return bank === 'sha1' ? this.#sha1Register : this.#sha256Register;
  }

  /** True, and remembered, where the buffer ends before `end`. */
  #lacks(end: number): boolean {
    if (end <= this.#end) return false;
    this.#needed = end - this.#start;
    return true;
  }

  /** Lists have one or two templates: the one before is most often this one too. */
  #readTemplate(at: number, length: number): void {
    const known = this.#templateName;
    let same = known.length === length;
    for (let index = 0; same && index < length; index += 1) same = known[index] === this.#buffer[at + index];
    if (same) return;
    const name = this.#buffer.slice(at, at + length);
    this.#template = imaTemplate(new TextDecoder('latin1').decode(name), this.#bytes);
    this.#templateName = name;
  }

  #isViolation(digestAt: number): boolean {
    for (let index = 0; index < this.#templateHashBytes; index += 1) {
      if (this.#buffer[digestAt + index] !== 0) return false;
    }
    return true;
  }

  #makeRoom(): void {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    // Lengths were checked before they became `#needed`, so this ends at the largest entry.
    if (this.#needed > this.#buffer.length) this.#grow(this.#needed + INITIAL_BUFFER_BYTES);
  }

  #grow(bytes: number): void {
    const larger = new Uint8Array(bytes);
    larger.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }

  #fail(code: 'limit' | 'invalid' | 'truncated', field: string, detail: string): never {
    throw new ParseError(code, field, this.#bytes, detail);
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function isEqual(left: DataView, at: number, right: DataView, rightAt: number, length: number): boolean {
  for (let index = 0; index < length; index += 4) {
    if (left.getUint32(at + index) !== right.getUint32(rightAt + index)) return false;
  }
  return true;
}
