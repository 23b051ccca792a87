// The root keys of AMD: one for each generation of processors, pinned as SHA-256 over their SubjectPublicKeyInfo.
//
// Seen alike on 2026-11-21 in three copies of what AMD’s key server gives at https://kdsintf.amd.com/vcek/v1/PRODUCT/cert_chain:
// google/go-sev-guest verify/trust/ask_ark_*.pem, virtee/sev src/certs/snp/builtin/*/ark.pem, and
// confidential-containers/trustee deps/verifier/src/snp/*_ask_ark_asvk.pem.
import type { SnpProduct } from './tcb.ts';

/** An AMD root key (ARK) that the caller trusts, for one product. */
export interface AmdRoot {
  readonly product: SnpProduct;
  /** SHA-256 of its SubjectPublicKeyInfo, lower-case hexadecimal. */
  readonly keyFingerprint: string;
}

export const AMD_ROOTS: readonly AmdRoot[] = [
  { product: 'Milan', keyFingerprint: '9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9' },
  { product: 'Genoa', keyFingerprint: '429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831' },
  { product: 'Turin', keyFingerprint: '4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08' },
];
