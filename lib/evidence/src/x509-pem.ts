// Certificates as text, RFC 7468, in its strict form: lines of 64 characters, one label, nothing between or before them.
// One chain of certificates has one spelling, so that no byte of it can be changed unseen.
import { ParseError, utf8, equalBytes } from '@ringwall/bytes';
import { fromBase64, toBase64 } from './base64.ts';

/** Chains of processors have three certificates; a certificate here has at most 4,096 bytes. */
export const MAX_PEM_BYTES: number = 32 * 1024;
const MAX_PEM_CERTIFICATES = 8;
const LINE_CHARACTERS = 64;
const BEGIN = '-----BEGIN CERTIFICATE-----\n';
const END = '-----END CERTIFICATE-----\n';

/** The certificates as DER, in their order; throws ParseError. A last line feed may be missing, one zero byte may follow. */
export function parsePemChain(pem: Uint8Array): readonly Uint8Array[] {
  if (pem.length > MAX_PEM_BYTES) {
    throw new ParseError('limit', 'PEM', 0, `has ${pem.length} bytes, expected at most ${MAX_PEM_BYTES}`);
  }
  // C programs count the zero that ends a text (Intel's quoting enclave does).
  const text = new TextDecoder('latin1').decode(pem.at(-1) === 0 ? pem.subarray(0, -1) : pem);
  const chain: Uint8Array[] = [];
  let rest = text.endsWith('\n') ? text : `${text}\n`;
  while (rest !== '') {
    if (chain.length === MAX_PEM_CERTIFICATES) throw invalid(`has more than ${MAX_PEM_CERTIFICATES} certificates`);
    const end = rest.indexOf(END);
    if (!rest.startsWith(BEGIN) || end < 0) throw invalid('is not certificates one after the other');
    const der = fromBase64(rest.slice(BEGIN.length, end).replaceAll('\n', ''));
    if (der === undefined || rest.slice(0, end + END.length) !== encodePem(der)) {
      throw invalid(`certificate ${chain.length + 1} is not base64 in lines of ${LINE_CHARACTERS}`);
    }
    chain.push(der);
    rest = rest.slice(end + END.length);
  }
  if (chain.length === 0) throw invalid('has no certificate');
  return chain;
}

/** One certificate as the text that `parsePemChain` reads. */
export function encodePem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `${BEGIN}${lines.map((line) => `${line}\n`).join('')}${END}`;
}

/** Certificates from a file of the operator’s: PEM with any line ends and empty lines, else one certificate in DER. */
export function certificatesOf(file: Uint8Array): readonly Uint8Array[] {
  const begin = utf8('-----');
  if (!equalBytes(file.subarray(0, begin.length), begin)) return [file];
  const lines = new TextDecoder('latin1').decode(file.subarray(0, MAX_PEM_BYTES + 1)).split(/[\r\n]+/);
  return parsePemChain(
    utf8(
      lines
        .filter((line) => line !== '')
        .map((line) => `${line}\n`)
        .join(''),
    ),
  );
}

function invalid(detail: string): ParseError {
  return new ParseError('invalid', 'PEM', 0, detail);
}
