// Reads from a TPM's commands and responses which PCRs were extended, and with what: TPM 2.0 Part 3 sections 22.2
// (PCR_Extend), 22.3 (PCR_Event) and 17.6 (EventSequenceComplete). The commands are the guest's to choose, and nothing is
// taken from one that the TPM did not do.
import { Cursor, ParseError } from '@ringwall/bytes';
import { TPM_ALG, TPM_CC, TPM_RH } from '@ringwall/tpm';

/** tag, size, code: of commands and of responses (Part 1 section 18). */
const HEADER_BYTES = 10;
const TPM_RC_SUCCESS = 0;
const SHA256_BYTES = 32;
const DIGEST_BYTES: ReadonlyMap<number, number> = new Map([
  [TPM_ALG.SHA1, 20],
  [TPM_ALG.SHA256, SHA256_BYTES],
  [TPM_ALG.SHA384, 48],
  [TPM_ALG.SHA512, 64],
]);

/** One extension of one PCR of the SHA-256 bank. */
export interface Extension {
  readonly pcr: number;
  readonly digest: Uint8Array;
}

/** Undefined where the TPM extended nothing. Throws ParseError for a response that no TPM gives. */
export function readExtension(command: Uint8Array, response: Uint8Array): Extension | undefined {
  if (codeOf(response) !== TPM_RC_SUCCESS) return undefined;
  const code = codeOf(command);
  if (code === TPM_CC.PCR_Extend) return extensionOf(command, digestsOfCommand(command));
  // The TPM hashes what it was given, and says to what.
  const isHashed = code === TPM_CC.PCR_Event || code === TPM_CC.EventSequenceComplete;
  return isHashed ? extensionOf(command, digestsOfResponse(response)) : undefined;
}

function codeOf(frame: Uint8Array): number | undefined {
  const cursor = new Cursor(frame);
  if (frame.length < HEADER_BYTES) return undefined;
  cursor.take(HEADER_BYTES - 4, 'tag and size');
  return cursor.u32be('code');
}

/** The first handle of all three. */
function extensionOf(command: Uint8Array, digest: Uint8Array | undefined): Extension | undefined {
  const cursor = new Cursor(command);
  cursor.take(HEADER_BYTES, 'header');
  const pcr = cursor.u32be('pcrHandle');
  // TPM_RH_NULL: the digests are wanted, and no PCR.
  return pcr === TPM_RH.NULL || digest === undefined ? undefined : { pcr, digest };
}

function digestsOfCommand(command: Uint8Array): Uint8Array | undefined {
  const cursor = new Cursor(command);
  cursor.take(HEADER_BYTES + 4, 'header and pcrHandle');
  cursor.take(cursor.u32be('authorizationSize'), 'authorizations');
  return sha256Of(cursor);
}

function digestsOfResponse(response: Uint8Array): Uint8Array | undefined {
  const cursor = new Cursor(response);
  cursor.take(HEADER_BYTES + 4, 'header and parameterSize');
  return sha256Of(cursor);
}

/** TPML_DIGEST_VALUES, Part 2 section 10.9.6. */
function sha256Of(cursor: Cursor): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  for (let left = cursor.u32be('count'); left > 0; left -= 1) {
    const algorithm = cursor.u16be('hashAlg');
    const bytes = DIGEST_BYTES.get(algorithm);
    if (bytes === undefined) {
      throw new ParseError(
        'unsupported',
        'hashAlg',
        cursor.offset,
        `is 0x${algorithm.toString(16)}, whose size is unknown`,
      );
    }
    const digest = cursor.take(bytes, 'digest');
    if (algorithm === TPM_ALG.SHA256) found = new Uint8Array(digest);
  }
  return found;
}
