// The public names of @ringwall/host/signatures: who signed an image, by Sigstore's own libraries, and whether they should have.
export { copySignatures, type CopiedSignatures } from './copy-signatures.ts';
export { judgeSignedImage, type JudgedName, type SignedImage } from './judge-signed-image.ts';
export { openSignatureTrust, type SignatureTrust } from './signature-trust.ts';
