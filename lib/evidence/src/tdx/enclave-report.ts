// The report of Intel’s quoting enclave, which says that the attestation key is its own: Intel SDM volume 3D, REPORT; the
// part without its MAC.
import { concatBytes, Cursor, equalBytes } from '@ringwall/bytes';
import { fails, holds, type Answer } from '../checks.ts';
import type { TdxQuote } from './quote.ts';

export interface EnclaveReport {
  readonly miscSelect: Uint8Array;
  readonly attributes: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Uint8Array;
}

/** Throws ParseError. */
export function parseEnclaveReport(bytes: Uint8Array): EnclaveReport {
  const cursor = new Cursor(bytes);
  cursor.skip(16, 'CPUSVN'); // the platform’s is in the PCK certificate
  const miscSelect = cursor.take(4, 'MISCSELECT');
  cursor.skip(28, 'reserved');
  const attributes = cursor.take(16, 'ATTRIBUTES');
  cursor.skip(32, 'MRENCLAVE'); // Intel names its enclaves by signer, product and version
  cursor.skip(32, 'reserved');
  const mrSigner = cursor.take(32, 'MRSIGNER');
  cursor.skip(96, 'reserved');
  const isvProdId = cursor.u16le('ISVPRODID');
  const isvSvn = cursor.u16le('ISVSVN');
  cursor.skip(60, 'reserved');
  const reportData = cursor.take(64, 'REPORTDATA');
  cursor.end('QE report');
  return { miscSelect, attributes, mrSigner, isvProdId, isvSvn, reportData };
}

/** SHA-256 over the attestation key and the enclave’s own data, then zeros. */
export async function checkAttestationKey(report: EnclaveReport, quote: TdxQuote): Promise<Answer> {
  const bound = concatBytes(quote.attestationKey, quote.qeAuthenticationData);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bound));
  if (equalBytes(report.reportData, concatBytes(digest, new Uint8Array(32))))
    return holds('its report carries the key');
  return fails('the quoting enclave’s report is for another attestation key');
}
