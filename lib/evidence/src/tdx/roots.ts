// The root key of Intel’s SGX and TDX certificates, pinned as SHA-256 over its SubjectPublicKeyInfo.
//
// Seen alike on 2026-11-21 in two copies of https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.pem:
// google/go-tdx-guest verify/trusted_root.pem and Phala-Network/dcap-qvl src/TrustedRootCA.der; and in the quotes themselves.

export const INTEL_ROOT_KEYS: readonly string[] = ['a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e'];
