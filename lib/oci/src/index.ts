// The public names of @ringwall/oci.

export { OCI_ERROR_CODES, OciError, type OciErrorCode } from './oci-error.ts';
