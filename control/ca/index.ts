// The public names of @ringwall/control/ca: this host's vTPM CA.
export { EK_CERTIFICATE_LIMIT_BYTES } from './ek-certificate.ts';
export { openVtpmCa, type VtpmCa } from './vtpm-ca.ts';
