// Sessions: started, read, begun anew (TPM 2.0 Part 3 sections 11 and 23).

import { TPM_ALG, TPM_RH, TPM_SE } from '../constants.ts';
import * as TPM_CC from './command-codes.ts';
import { command, EMPTY_TPM2B, tpm2b, u16, u8 } from './frame.ts';
import type { CommandTemplate, HandlePart } from './template.ts';

/** The smallest nonce that TPM2_StartAuthSession takes, Part 3 section 11.1.1: 16 bytes. */
const NONCE_BYTES = 16;

export type SessionType = 'policy' | 'trial' | 'hmac';

const SESSION_TYPES: Readonly<Record<SessionType, number>> = {
  policy: TPM_SE.POLICY,
  trial: TPM_SE.TRIAL,
  hmac: TPM_SE.HMAC,
};

/**
 * TPM2_StartAuthSession, Part 3 section 11.1: a policy session for one use, a trial session, which only computes a
 * digest, or an HMAC session without a key, for audits. Neither salted nor bound: what it authorizes carries no HMAC, so
 * its nonce has no part to play.
 */
export function startAuthSession(sessionType: SessionType, authHash: number = TPM_ALG.SHA256): CommandTemplate {
  return command(TPM_CC.StartAuthSession, {
    handles: [TPM_RH.NULL, TPM_RH.NULL],
    parameters: [
      tpm2b(new Uint8Array(NONCE_BYTES)),
      EMPTY_TPM2B,
      u8(SESSION_TYPES[sessionType]),
      u16(TPM_ALG.NULL),
      u16(authHash),
    ],
  });
}

/** TPM2_PolicyGetDigest, Part 3 section 23.19. */
export function policyGetDigest(policySession: HandlePart): CommandTemplate {
  return command(TPM_CC.PolicyGetDigest, { handles: [policySession] });
}

/** TPM2_PolicyRestart, Part 3 section 11.2: back to the digest of zeros. */
export function policyRestart(policySession: HandlePart): CommandTemplate {
  return command(TPM_CC.PolicyRestart, { handles: [policySession] });
}
