// A bill of materials of either format, told by what it says of itself.
import { OciError } from '../oci-error.ts';
import { readCycloneDx } from './cyclonedx.ts';
import { recordOf, textAt, type JsonRecord } from '../json-value.ts';
import { MAX_SBOM_BYTES, type ParsedSbom } from './read-sbom.ts';
import { readSpdx } from './spdx.ts';

/** Throws OciError: `malformed` where it is neither, `limit` where it is larger than MAX_SBOM_BYTES. */
export function parseSbom(bytes: Uint8Array): ParsedSbom {
  if (bytes.length > MAX_SBOM_BYTES)
    throw new OciError('limit', `bill of materials has more than ${MAX_SBOM_BYTES} bytes`);
  const document = recordOf(parseJson(bytes));
  if (document === undefined) throw new OciError('malformed', 'bill of materials is no JSON object');
  if (textAt(document, 'bomFormat') === 'CycloneDX') return readCycloneDx(document);
  if (textAt(document, 'spdxVersion').startsWith('SPDX-2.')) return readSpdx(document);
  throw new OciError('malformed', `is no bill of materials of CycloneDX or SPDX 2${namedIn(document)}`);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new OciError('malformed', 'bill of materials is no JSON', { cause });
  }
}

/** SPDX 3 is another format by the same name. */
function namedIn(document: JsonRecord): string {
  const version = textAt(document, 'spdxVersion') || textAt(document, '@context');
  return version === '' ? '' : `, but ${JSON.stringify(version.slice(0, 100))}`;
}
