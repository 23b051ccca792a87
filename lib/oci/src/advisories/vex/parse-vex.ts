// VEX documents: OpenVEX 0.2 (https://github.com/openvex/spec), CSAF 2.0 with its profile 5, CycloneDX with vulnerabilities
// (ECMA-424, "analysis"). Told by what they say of themselves.
import { OciError } from '../../oci-error.ts';
import { listOf, recordOf, textAt, type JsonRecord } from '../../json-value.ts';
import { isCsaf, openProductTree } from '../csaf/product-tree.ts';
import { productOfPurl, type VexStatement } from './statement.ts';

export const MAX_VEX_BYTES: number = 64 * 1024 * 1024;
const MAX_STATEMENTS = 500_000;

/** Throws OciError: `malformed` where it is none of them, `limit`. */
export function parseVex(bytes: Uint8Array): readonly VexStatement[] {
  if (bytes.length > MAX_VEX_BYTES) throw new OciError('limit', `VEX document has more than ${MAX_VEX_BYTES} bytes`);
  const document = recordOf(parseJson(bytes));
  const statements = document === undefined ? undefined : statementsOf(document);
  if (statements === undefined) throw new OciError('malformed', 'is no VEX document of OpenVEX, CSAF or CycloneDX');
  const found: VexStatement[] = [];
  for (const statement of statements) {
    // A statement that gives no reason is no more than a wish.
    if (statement.reason !== '') found.push(statement);
    if (found.length > MAX_STATEMENTS)
      throw new OciError('limit', `VEX document has more than ${MAX_STATEMENTS} statements`);
  }
  return found;
}

function statementsOf(document: JsonRecord): Iterable<VexStatement> | undefined {
  if (textAt(document, '@context').startsWith('https://openvex.dev/ns')) return openVex(document);
  if (isCsaf(document)) return csaf(document);
  if (textAt(document, 'bomFormat') === 'CycloneDX' && Array.isArray(document['vulnerabilities']))
    return cycloneDx(document);
  return undefined;
}

function* openVex(document: JsonRecord): Generator<VexStatement> {
  const author = textAt(document, 'author');
  for (const each of listOf(document['statements'])) {
    const statement = recordOf(each);
    const status = statusOf(textAt(statement, 'status'));
    const named = recordOf(statement?.['vulnerability']);
    const vulnerability = textAt(named, 'name') || textAt(statement, 'vulnerability');
    if (status === undefined) continue;
    const reason = [
      textAt(statement, 'justification'),
      textAt(statement, 'impact_statement') || textAt(statement, 'status_notes'),
    ]
      .filter((part) => part !== '')
      .join(': ');
    for (const raw of listOf(statement?.['products'])) {
      const product = recordOf(raw);
      const id = textAt(product, '@id') || textAt(recordOf(product?.['identifiers']), 'purl');
      const parts = listOf(product?.['subcomponents']).map((part) => textAt(recordOf(part), '@id'));
      const imageDigest = /^pkg:oci\/[^@?]+@(sha256(?::|%3A)[0-9a-f]{64})/i.exec(id)?.[1]?.replace(/%3A/i, ':') ?? '';
      // An image without a digest may be any: what is said of its parts is about a tag that was moved since.
      if (id.startsWith('pkg:oci/') && imageDigest === '') continue;
      for (const purl of parts.length > 0 ? parts : [id]) {
        const found = productOfPurl(purl);
        if (found !== undefined) {
          yield {
            vulnerability,
            status,
            reason: status === 'fixed' ? reason || 'fixed' : reason,
            author,
            product: found,
            imageDigest,
          };
        }
      }
    }
  }
}

function* csaf(document: JsonRecord): Generator<VexStatement> {
  const author = textAt(recordOf(recordOf(document['document'])?.['publisher']), 'name');
  const productOf = openProductTree(document);
  for (const each of listOf(document['vulnerabilities'])) {
    const vulnerability = recordOf(each);
    const reasons = reasonsOf(vulnerability);
    const name = textAt(vulnerability, 'cve');
    const said = recordOf(vulnerability?.['product_status']);
    for (const [list, status] of [
      ['known_not_affected', 'not_affected'],
      ['fixed', 'fixed'],
    ] as const) {
      for (const id of listOf(said?.[list])) {
        const product = typeof id === 'string' ? productOfPurl(productOf(id)?.purl ?? '') : undefined;
        const reason = typeof id === 'string' ? (reasons.get(id) ?? '') : '';
        if (product !== undefined) {
          yield {
            vulnerability: name,
            status,
            reason: status === 'fixed' ? 'fixed' : reason,
            author,
            product,
            imageDigest: '',
          };
        }
      }
    }
  }
}

/** By product: the label of a flag, and what is said of the impact. */
function reasonsOf(vulnerability: JsonRecord | undefined): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>();
  const said = [
    ...listOf(vulnerability?.['flags']).map((flag) => ({
      entry: recordOf(flag),
      words: textAt(recordOf(flag), 'label'),
    })),
    ...listOf(vulnerability?.['threats'])
      .map((threat) => recordOf(threat))
      .filter((threat) => textAt(threat, 'category') === 'impact')
      .map((threat) => ({ entry: threat, words: textAt(threat, 'details') })),
  ];
  for (const { entry, words } of said) {
    for (const id of listOf(entry?.['product_ids'])) {
      if (typeof id === 'string')
        reasons.set(id, [reasons.get(id) ?? '', words].filter((part) => part !== '').join(': '));
    }
  }
  return reasons;
}

function* cycloneDx(document: JsonRecord): Generator<VexStatement> {
  const purls = new Map<string, string>();
  for (const each of listOf(document['components'])) {
    const component = recordOf(each);
    purls.set(textAt(component, 'bom-ref'), textAt(component, 'purl'));
  }
  const metadata = recordOf(document['metadata']);
  const author =
    textAt(recordOf(metadata?.['supplier']), 'name') || textAt(recordOf(listOf(metadata?.['authors'])[0]), 'name');
  for (const each of listOf(document['vulnerabilities'])) {
    const vulnerability = recordOf(each);
    const analysis = recordOf(vulnerability?.['analysis']);
    const status = statusOf(textAt(analysis, 'state'));
    if (status === undefined) continue;
    const reason = [textAt(analysis, 'justification'), textAt(analysis, 'detail')]
      .filter((part) => part !== '')
      .join(': ');
    for (const affects of listOf(vulnerability?.['affects'])) {
      // A reference of this document, a link into another (`urn:cdx:…#ref`), or the package URL itself.
      const reference = textAt(recordOf(affects), 'ref');
      const last = reference.slice(reference.indexOf('#') + 1);
      const product = productOfPurl(
        purls.get(reference) ?? purls.get(last) ?? (last.startsWith('pkg:') ? last : reference),
      );
      if (product !== undefined) {
        const name = textAt(vulnerability, 'id');
        yield {
          vulnerability: name,
          status,
          reason: status === 'fixed' ? reason || 'fixed' : reason,
          author,
          product,
          imageDigest: '',
        };
      }
    }
  }
}

const STATUSES: Readonly<Record<string, VexStatement['status']>> = {
  false_positive: 'not_affected',
  fixed: 'fixed',
  not_affected: 'not_affected',
  resolved: 'fixed',
  resolved_with_pedigree: 'fixed',
};

/** What is affected, or under investigation, is told anyway. */
function statusOf(word: string): VexStatement['status'] | undefined {
  return Object.hasOwn(STATUSES, word) ? STATUSES[word] : undefined;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new OciError('malformed', 'VEX document is no JSON', { cause });
  }
}
