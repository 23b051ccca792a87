// Commands on policy sessions (TPM 2.0 Part 3).

import { TPM_ALG, TPM_RH, TPM_SE } from '../constants.ts';
import { TPM_CC } from './command-codes.ts';
import { encodePcrSelection } from '../structures/pcr-selection.ts';
import type { CommandTemplate, HandlePart } from './template.ts';
import { command, EMPTY_TPM2B, tpm2b, u16, u32, u8 } from './frame.ts';

/** The smallest nonce that TPM2_StartAuthSession takes, Part 3 section 11.1.1: 16 bytes. */
const NONCE_BYTES = 16;

/**
 * TPM2_StartAuthSession, Part 3 section 11.1: a policy session for one use, or a trial session, which only computes a
 * digest. Neither salted nor bound: what it authorizes carries no HMAC, so its nonce has no part to play.
 */
export function startAuthSession(sessionType: 'policy' | 'trial'): CommandTemplate {
  return command(TPM_CC.StartAuthSession, {
    handles: [TPM_RH.NULL, TPM_RH.NULL],
    parameters: [
      tpm2b(new Uint8Array(NONCE_BYTES)),
      EMPTY_TPM2B,
      u8(sessionType === 'policy' ? TPM_SE.POLICY : TPM_SE.TRIAL),
      u16(TPM_ALG.NULL),
      u16(TPM_ALG.SHA256),
    ],
  });
}

/** TPM2_PolicyPCR, Part 3 section 23.7, with an empty digest: the TPM takes the PCRs as they are now. */
export function policyPcr(policySession: HandlePart, pcrs: readonly number[]): CommandTemplate {
  return command(TPM_CC.PolicyPCR, {
    handles: [policySession],
    parameters: [EMPTY_TPM2B, encodePcrSelection(TPM_ALG.SHA256, pcrs)],
  });
}

/** TPM2_PolicySecret, Part 3 section 23.4: proves the empty authorization value of `authHandle`, without expiration. */
export function policySecret(authHandle: number, policySession: HandlePart): CommandTemplate {
  return command(TPM_CC.PolicySecret, {
    handles: [authHandle, policySession],
    authorizations: ['empty-password'],
    parameters: [EMPTY_TPM2B, EMPTY_TPM2B, EMPTY_TPM2B, u32(0)],
  });
}

/** TPM2_PolicyGetDigest, Part 3 section 23.19. */
export function policyGetDigest(policySession: HandlePart): CommandTemplate {
  return command(TPM_CC.PolicyGetDigest, { handles: [policySession] });
}
