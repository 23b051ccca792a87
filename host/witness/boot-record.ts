// What a TPM's line has shown of a boot, as an event log in the crypto-agile format (PC Client Platform Firmware Profile
// 1.06 section 10.4.5). It is made from the TPM's own commands, so that it always leads to the PCRs, whatever the
// guest says of itself; and it knows digests alone. The few whose data everybody knows are given their type and data.
import { createHash } from 'node:crypto';
import { toHex, utf8 } from '@ringwall/bytes';
import { DEMANDED_PCRS, encodeEventLog, EV, TPM_ALG } from '@ringwall/tpm';
import type { Extension } from './extensions.ts';

/** A firmware with boot loader measures 50 to 150 times; what a judge reads at most is 2,048. */
export const MAX_EXTENSIONS = 1024;

/** Section 10.4.1 table 27, EV_COMPACT_HASH: nothing follows for the data, which is left empty. */
const DIGEST_ALONE = EV.COMPACT_HASH;

interface KnownData {
  readonly type: number;
  readonly data: Uint8Array;
}

/** The firmware measures it into PCR 5 once the operating system has taken over. */
const EXITED = 'Exit Boot Services Returned with Success';
/** Strings of section 10.4.5 (EV_EFI_ACTION), and the separators of section 3.3.2. */
const KNOWN: ReadonlyMap<string, KnownData> = new Map([
  ...[
    'Calling EFI Application from Boot Option',
    'Returning from EFI Application from Boot Option',
    'Exit Boot Services Invocation',
    'Exit Boot Services Returned with Failure',
    EXITED,
    'DMA Protection Disabled',
  ].map((text): [string, KnownData] => [digestOf(utf8(text)), { type: EV.EFI_ACTION, data: utf8(text) }]),
  ...[new Uint8Array(4), new Uint8Array(4).fill(0xff)].map((data): [string, KnownData] => [
    digestOf(data),
    { type: EV.SEPARATOR, data },
  ]),
]);
const EXITED_PCR = 5;
const EXITED_DIGEST = digestOf(utf8(EXITED));

/** Grows with each extension that was seen, up to a limit beyond which the boot can no longer be told. */
export class BootRecord {
  readonly #extensions: Extension[] = [];
  #exited = false;
  #overflowed = false;

  add(extension: Extension): void {
    if (!DEMANDED_PCRS.includes(extension.pcr)) return;
    if (this.#extensions.length === MAX_EXTENSIONS) this.#overflowed = true;
    else this.#extensions.push(extension);
    if (extension.pcr === EXITED_PCR && toHex(extension.digest) === EXITED_DIGEST) this.#exited = true;
  }

  /** In their order. */
  get extensions(): readonly Extension[] {
    return this.#extensions;
  }

  /** The guest extended more often than anybody judges: what came then is not on record. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** What it leads to, for each PCR that is quoted (TPM 2.0 Part 1 section 17.2). */
  values(): ReadonlyMap<number, Uint8Array> {
    const values = new Map(DEMANDED_PCRS.map((pcr) => [pcr, new Uint8Array(32)]));
    for (const { pcr, digest } of this.#extensions) {
      const hash = createHash('sha256').update(values.get(pcr) ?? new Uint8Array());
      values.set(pcr, new Uint8Array(hash.update(digest).digest()));
    }
    return values;
  }

  /** The firmware has handed over: boot loader, kernel and command line are measured, and nothing of a userland is. */
  get exited(): boolean {
    return this.#exited;
  }

  /** Undefined where the guest extended more often than anybody judges. */
  encode(): Uint8Array | undefined {
    if (this.#overflowed) return undefined;
    return encodeEventLog(
      [{ algorithmId: TPM_ALG.SHA256, digestBytes: 32 }],
      this.#extensions.map(({ pcr, digest }) => {
        const { type, data } = KNOWN.get(toHex(digest)) ?? { type: DIGEST_ALONE, data: new Uint8Array() };
        return { pcr, type, digests: [digest], data };
      }),
    );
  }
}

function digestOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
