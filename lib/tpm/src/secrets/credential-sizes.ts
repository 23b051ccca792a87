// How long a credential for a P-256 EK is when its secret has 32 bytes: fixed, so that a shell can cut it.

/**
 * `idObject` is what stands inside TPM2B_ID_OBJECT: 2 + 32 bytes of outer HMAC, then the encrypted TPM2B of the secret
 * (2 + 32). `encryptedSecret` is what stands inside TPM2B_ENCRYPTED_SECRET: a TPMS_ECC_POINT, 2 + 32 and 2 + 32.
 */
export const CREDENTIAL_BYTES = { secret: 32, idObject: 68, encryptedSecret: 68 } as const;
