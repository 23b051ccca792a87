// Verifies a TPM's quote offline: `node examples/verify-quote.ts AK-PUBLIC QUOTE SIGNATURE NONCE`. The files hold a
// TPMT_PUBLIC, a TPMS_ATTEST and a TPMT_SIGNATURE; NONCE is what you asked the TPM to sign, in hexadecimal. That the key
// is a TPM's, and which, is for you to know: by its EK certificate and a credential that it opened (`makeCredential`).
import { readFileSync } from 'node:fs';
import { equalBytes, fromHex, toHex } from '@ringwall/bytes';
import { attributesOf, nameOf, parseAttest, parsePublic, parseSignature, verifySignature } from '@ringwall/tpm';

const [akFile = '', quoteFile = '', signatureFile = '', nonce = ''] = process.argv.slice(2);
const ak = parsePublic(readFileSync(akFile));
const quote = readFileSync(quoteFile);
const { restricted, sign, decrypt } = attributesOf(ak);

// The signature first: before it holds, whoever sent the bytes chose every field.
const signed = await verifySignature(ak, parseSignature(readFileSync(signatureFile)), quote);
const attest = signed && restricted && sign && !decrypt ? parseAttest(quote) : undefined;
if (attest?.type === 'quote' && equalBytes(attest.extraData, fromHex(nonce))) {
  const banks = attest.attested.pcrSelect.map(({ hash, pcrs }) => `bank 0x${hash.toString(16)}: ${pcrs.join(' ')}`);
  process.stdout.write(`key ${toHex(await nameOf(ak.bytes))}\npcrs ${banks.join(', ')}\n`);
  process.stdout.write(`digest ${toHex(attest.attested.pcrDigest)}\n`);
} else {
  process.stdout.write('no quote of this key for this nonce\n');
  process.exitCode = 1;
}
