// How a TPM command is framed: header, handles, authorization area, parameters (TPM 2.0 Part 1 section 18, Part 3
// section 5.2), with holes allowed in each.

import { Writer } from '@ringwall/bytes';
import { TPM_ALG, TPM_RH, TPM_ST } from '../constants.ts';
import { writeScheme, type TPMT_ASYM_SCHEME } from '../structures/schemes.ts';
import { joinParts, templateLength, type CommandTemplate, type HandlePart, type TemplatePart } from './template.ts';
import { TpmError } from '../tpm-error.ts';

/** tag, commandSize, commandCode: Part 1 section 18.2. */
const HEADER_BYTES = 10;
/** The size field of the authorization area: Part 1 section 18. */
const AUTHORIZATION_SIZE_BYTES = 4;

/**
 * How one handle is authorized: by its empty password, by another password (in the clear: whoever sees the bus sees it),
 * or by a policy session that ends with this command. A session with `attributes` (TPMA_SESSION) is one without a key,
 * as for an audit: it carries an empty HMAC.
 */
export type Authorization =
  | 'empty-password'
  | { readonly password: TemplatePart }
  | { readonly policySession: HandlePart }
  | { readonly session: HandlePart; readonly attributes: number };

/** A whole command. `authorizations` is empty for a command without sessions. */
export function command(
  commandCode: number,
  parts: {
    readonly handles?: readonly HandlePart[];
    readonly authorizations?: readonly Authorization[];
    readonly parameters?: readonly TemplatePart[];
  },
): CommandTemplate {
  const handles = (parts.handles ?? []).map(handle);
  const authorizations = (parts.authorizations ?? []).map(authorization);
  const parameters = parts.parameters ?? [];
  const area = joinParts(...authorizations);
  const areaParts = authorizations.length === 0 ? [] : [u32(templateLength(area)), area];
  const size =
    HEADER_BYTES +
    templateLength(joinParts(...handles, ...parameters, area)) +
    (authorizations.length === 0 ? 0 : AUTHORIZATION_SIZE_BYTES);
  const header = new Writer()
    .u16be(authorizations.length === 0 ? TPM_ST.NO_SESSIONS : TPM_ST.SESSIONS)
    .u32be(size)
    .u32be(commandCode)
    .finish();
  return joinParts(header, ...handles, ...areaParts, ...parameters);
}

/** A TPM2B: `part` behind its length in 16 bits. */
export function tpm2b(part: TemplatePart): CommandTemplate {
  return joinParts(u16(templateLength(part)), part);
}

export const EMPTY_TPM2B: Uint8Array = Uint8Array.of(0, 0);

export function handle(value: HandlePart): TemplatePart {
  if (typeof value === 'number') return u32(value);
  if (value.bytes !== 4)
    throw new TpmError('template', `handle slot ${value.slot} has ${value.bytes} bytes, expected 4`);
  return value;
}

export function u8(value: number): Uint8Array {
  return new Writer().u8(value).finish();
}

export function u16(value: number): Uint8Array {
  return new Writer().u16be(value).finish();
}

export function u32(value: number): Uint8Array {
  return new Writer().u32be(value).finish();
}

/** TPMS_AUTH_COMMAND, Part 2 section 10.13.2: session, empty nonce, attributes, HMAC or password. */
function authorization(value: Authorization): TemplatePart {
  if (value === 'empty-password') return joinParts(u32(TPM_RH.PW), EMPTY_TPM2B, u8(0), EMPTY_TPM2B);
  if ('password' in value) return joinParts(u32(TPM_RH.PW), EMPTY_TPM2B, u8(0), tpm2b(value.password));
  if ('session' in value) return joinParts(handle(value.session), EMPTY_TPM2B, u8(value.attributes), EMPTY_TPM2B);
  // continueSession stays clear: a policy session serves one command, and the TPM flushes it when that succeeds.
  return joinParts(handle(value.policySession), EMPTY_TPM2B, u8(0), EMPTY_TPM2B);
}

/** TPMT_SIG_SCHEME, Part 2 section 11.2.1.5, or TPM_ALG_NULL for the key's own. */
export function sigScheme(scheme: TPMT_ASYM_SCHEME | undefined): TemplatePart {
  const writer = new Writer();
  writeScheme(writer, scheme ?? { scheme: TPM_ALG.NULL, hashAlg: 0 });
  return writer.finish();
}
