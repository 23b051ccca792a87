// Numbers of the TPM 2.0 Library Specification, Part 2 (revision 1.59), spelled as there; only those used here.

/** TPM_ALG_ID, Part 2 section 6.3. */
export const TPM_ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  AES: 0x0006,
  KEYEDHASH: 0x0008,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  SM3_256: 0x0012,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDH: 0x0019,
  ECC: 0x0023,
  SYMCIPHER: 0x0025,
  SHA3_256: 0x0027,
  SHA3_384: 0x0028,
  SHA3_512: 0x0029,
  CFB: 0x0043,
} as const;

/** TPM_ECC_CURVE, Part 2 section 6.4. */
export const TPM_ECC = { NIST_P256: 0x0003, NIST_P384: 0x0004 } as const;

/** TPM_CC, Part 2 section 6.5.2. */
export const TPM_CC = {
  EvictControl: 0x0000_0120,
  HierarchyControl: 0x0000_0121,
  NV_DefineSpace: 0x0000_012a,
  PCR_Allocate: 0x0000_012b,
  CreatePrimary: 0x0000_0131,
  NV_Write: 0x0000_0137,
  NV_WriteLock: 0x0000_0138,
  SelfTest: 0x0000_0143,
  Startup: 0x0000_0144,
  Shutdown: 0x0000_0145,
  ActivateCredential: 0x0000_0147,
  Certify: 0x0000_0148,
  NV_Read: 0x0000_014e,
  PolicySecret: 0x0000_0151,
  ECDH_ZGen: 0x0000_0154,
  Quote: 0x0000_0158,
  FlushContext: 0x0000_0165,
  LoadExternal: 0x0000_0167,
  NV_ReadPublic: 0x0000_0169,
  ReadPublic: 0x0000_0173,
  StartAuthSession: 0x0000_0176,
  VerifySignature: 0x0000_0177,
  GetRandom: 0x0000_017b,
  PCR_Read: 0x0000_017e,
  PolicyPCR: 0x0000_017f,
  PCR_Extend: 0x0000_0182,
  PolicyGetDigest: 0x0000_0189,
} as const;

/** TPM_ST, Part 2 section 6.9. */
export const TPM_ST = {
  NO_SESSIONS: 0x8001,
  SESSIONS: 0x8002,
  ATTEST_CERTIFY: 0x8017,
  ATTEST_QUOTE: 0x8018,
} as const;

/** TPM_SU, Part 2 section 6.10. */
export const TPM_SU = { CLEAR: 0x0000, STATE: 0x0001 } as const;

/** TPM_SE, Part 2 section 6.11. */
export const TPM_SE = { POLICY: 0x01, TRIAL: 0x03 } as const;

/** TPM_RH and TPM_RS, Part 2 section 7.4. */
export const TPM_RH = {
  OWNER: 0x4000_0001,
  NULL: 0x4000_0007,
  PW: 0x4000_0009,
  ENDORSEMENT: 0x4000_000b,
  PLATFORM: 0x4000_000c,
} as const;

/** TPM_GENERATED_VALUE, Part 2 section 6.2: the first bytes of whatever a TPM attests to. */
export const TPM_GENERATED_VALUE = 0xff54_4347;

/** TPMA_OBJECT bits, Part 2 section 8.3.2. */
export const TPMA_OBJECT = {
  fixedTPM: 0x0000_0002,
  stClear: 0x0000_0004,
  fixedParent: 0x0000_0010,
  sensitiveDataOrigin: 0x0000_0020,
  userWithAuth: 0x0000_0040,
  adminWithPolicy: 0x0000_0080,
  noDA: 0x0000_0400,
  encryptedDuplication: 0x0000_0800,
  restricted: 0x0001_0000,
  decrypt: 0x0002_0000,
  sign: 0x0004_0000,
} as const;

/** TPMA_NV bits, Part 2 section 13.4. */
export const TPMA_NV = {
  PPWRITE: 0x0000_0001,
  WRITEDEFINE: 0x0000_2000,
  PPREAD: 0x0001_0000,
  OWNERREAD: 0x0002_0000,
  AUTHREAD: 0x0004_0000,
  NO_DA: 0x0200_0000,
  PLATFORMCREATE: 0x4000_0000,
} as const;

/** PCRs of a PC Client TPM, PC Client Platform TPM Profile section 4.6: 0 to 23. */
export const PCR_COUNT = 24;
/** Bytes of a PCR selection bitmap for `PCR_COUNT` PCRs. */
export const PCR_SELECT_BYTES = 3;
