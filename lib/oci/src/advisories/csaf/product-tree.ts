// The products of a CSAF 2.0 document (OASIS, section 3.2.2): branches of any depth, and relationships that put a component
// onto a platform. Statuses name products by ids that only this tree explains.
import { OciError } from '../../oci-error.ts';
import { listOf, recordOf, textAt, type JsonRecord } from '../../json-value.ts';

const MAX_DEPTH = 32;
/** Of Red Hat's largest, some 60,000. */
const MAX_PRODUCTS = 1_000_000;

export interface CsafProduct {
  /** Of the component: its id where it is put onto a platform, else its own. */
  readonly id: string;
  /** '' where the tree says none. */
  readonly purl: string;
  /** CPE of the platform; '' where there is none. */
  readonly platform: string;
}

export function isCsaf(document: JsonRecord): boolean {
  return textAt(recordOf(document['document']), 'csaf_version') !== '';
}

/** Undefined for an id that the tree does not explain. Throws OciError `limit`. */
export function openProductTree(document: JsonRecord): (id: string) => CsafProduct | undefined {
  const products = new Map<string, { readonly purl: string; readonly cpe: string }>();
  const tree = recordOf(document['product_tree']);
  const keep = (product: JsonRecord | undefined): void => {
    const id = textAt(product, 'product_id');
    const helper = recordOf(product?.['product_identification_helper']);
    if (id !== '') products.set(id, { purl: textAt(helper, 'purl'), cpe: textAt(helper, 'cpe') });
    if (products.size > MAX_PRODUCTS)
      throw new OciError('limit', `CSAF document has more than ${MAX_PRODUCTS} products`);
  };
  const walk = (branches: readonly unknown[], depth: number): void => {
    if (depth > MAX_DEPTH)
      throw new OciError('limit', `branches of a CSAF document are within each other more than ${MAX_DEPTH} times`);
    for (const each of branches) {
      const branch = recordOf(each);
      keep(recordOf(branch?.['product']));
      walk(listOf(branch?.['branches']), depth + 1);
    }
  };
  walk(listOf(tree?.['branches']), 0);
  for (const each of listOf(tree?.['full_product_names'])) keep(recordOf(each));
  const placed = new Map<string, { readonly component: string; readonly platform: string }>();
  for (const each of listOf(tree?.['relationships'])) {
    const relationship = recordOf(each);
    const id = textAt(recordOf(relationship?.['full_product_name']), 'product_id');
    const [component, platform] = [
      textAt(relationship, 'product_reference'),
      textAt(relationship, 'relates_to_product_reference'),
    ];
    if (id !== '') placed.set(id, { component, platform });
    if (placed.size > MAX_PRODUCTS)
      throw new OciError('limit', `CSAF document has more than ${MAX_PRODUCTS} relationships`);
  }
  return (id) => {
    const place = placed.get(id);
    const component = place?.component ?? id;
    const product = products.get(component);
    if (place === undefined && product === undefined) return undefined;
    return {
      id: component,
      purl: product?.purl ?? '',
      platform: place === undefined ? '' : (products.get(place.platform)?.cpe ?? ''),
    };
  };
}
