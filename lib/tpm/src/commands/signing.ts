// Commands that use keys on data: signatures, HMACs, ciphers (TPM 2.0 Part 3 sections 15 and 20).

import { Writer } from '@ringwall/bytes';
import { TPM_ALG, TPM_RH, TPM_ST } from '../constants.ts';
import type { TPMT_ASYM_SCHEME } from '../structures/schemes.ts';
import { encodeSignature, type TPMT_SIGNATURE } from '../structures/signature.ts';
import { writeTicket, type TPMT_TK } from '../structures/ticket.ts';
import * as TPM_CC from './command-codes.ts';
import { command, sigScheme, tpm2b, u16, u8, type Authorization } from './frame.ts';
import type { CommandTemplate, HandlePart, TemplatePart } from './template.ts';

/** A ticket of no hash: enough for a key that is not restricted. */
const NULL_TICKET: TPMT_TK = { tag: TPM_ST.HASHCHECK, hierarchy: TPM_RH.NULL, digest: new Uint8Array(0) };

/** TPM2_VerifySignature, Part 3 section 20.1, of an ECDSA signature over a SHA-256 digest. */
export function verifySignature(input: {
  readonly keyHandle: HandlePart;
  readonly digest: TemplatePart;
  readonly r: TemplatePart;
  readonly s: TemplatePart;
}): CommandTemplate {
  return command(TPM_CC.VerifySignature, {
    handles: [input.keyHandle],
    parameters: [tpm2b(input.digest), u16(TPM_ALG.ECDSA), u16(TPM_ALG.SHA256), tpm2b(input.r), tpm2b(input.s)],
  });
}

/** TPM2_VerifySignature of any signature; the ticket in its answer is what TPM2_PolicyAuthorize wants. */
export function verifySignatureOf(input: {
  readonly keyHandle: HandlePart;
  readonly digest: TemplatePart;
  readonly signature: TPMT_SIGNATURE;
}): CommandTemplate {
  return command(TPM_CC.VerifySignature, {
    handles: [input.keyHandle],
    parameters: [tpm2b(input.digest), encodeSignature(input.signature)],
  });
}

/** TPM2_Sign, Part 3 section 20.2. A restricted key needs the ticket of TPM2_Hash for the digest. */
export function sign(input: {
  readonly keyHandle: HandlePart;
  readonly digest: TemplatePart;
  readonly inScheme?: TPMT_ASYM_SCHEME;
  readonly validation?: TPMT_TK;
  readonly authorization?: Authorization;
}): CommandTemplate {
  return command(TPM_CC.Sign, {
    handles: [input.keyHandle],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [
      tpm2b(input.digest),
      sigScheme(input.inScheme),
      writeTicket(new Writer(), input.validation ?? NULL_TICKET).finish(),
    ],
  });
}

/** TPM2_HMAC, Part 3 section 15.4. `hashAlg` may be TPM_ALG_NULL for the key's own. */
export function hmac(input: {
  readonly handle: HandlePart;
  readonly buffer: TemplatePart;
  readonly hashAlg?: number;
  readonly authorization?: Authorization;
}): CommandTemplate {
  return command(TPM_CC.HMAC, {
    handles: [input.handle],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [tpm2b(input.buffer), u16(input.hashAlg ?? TPM_ALG.NULL)],
  });
}

/** TPM2_EncryptDecrypt2, Part 3 section 15.3. `mode` may be TPM_ALG_NULL for the key's own. */
export function encryptDecrypt2(input: {
  readonly keyHandle: HandlePart;
  readonly inData: TemplatePart;
  readonly decrypt: boolean;
  readonly ivIn: TemplatePart;
  readonly mode?: number;
  readonly authorization?: Authorization;
}): CommandTemplate {
  return command(TPM_CC.EncryptDecrypt2, {
    handles: [input.keyHandle],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [tpm2b(input.inData), u8(input.decrypt ? 1 : 0), u16(input.mode ?? TPM_ALG.NULL), tpm2b(input.ivIn)],
  });
}
