// The public names of @ringwall/host/signatures: who signed an image, by Sigstore's own libraries, and whether they should have.
export { judgeRemoteImage } from './judge-remote-image.ts';
export { openSignatureTrust, type SignatureTrust } from './signature-trust.ts';
