// What somebody says of a vulnerability in a product of theirs (VEX): that it does not matter there, and why. Statements without a
// reason are not heeded, as OpenVEX and CISA's minimum requirements ask for one.
import { OciError } from '../../oci-error.ts';
import type { InstalledPackage } from '../../packages/installed-packages.ts';
import type { PackageFact } from '../../packages/package-fact.ts';
import { parsePurl } from '../../packages/purl.ts';

export interface VexStatement {
  readonly vulnerability: string;
  readonly status: 'not_affected' | 'fixed';
  /** `vulnerable_code_not_in_execute_path`, or in words. Never ''. */
  readonly reason: string;
  readonly author: string;
  /** The package that it is about; without a version it is about all of them. */
  readonly product: Pick<PackageFact, 'type' | 'name' | 'version'>;
  /** The image in which it holds; '' for any. */
  readonly imageDigest: string;
}

/** Undefined where the product is no package of a kind that is known here. */
export function productOfPurl(purl: string): VexStatement['product'] | undefined {
  // Without a version it is about all of them, which `parsePurl` takes for none.
  const [, path = '', query = ''] = /^(pkg:[^?#]*?)\/?([?#].*)?$/.exec(purl) ?? [];
  const versioned = /[^/]@[^/]*$/.test(path);
  try {
    const parsed = parsePurl(versioned ? purl : `${path}@0${query}`);
    if (parsed === undefined) return undefined;
    const { type, name, version } = parsed.package;
    return { type, name, version: versioned ? version : '' };
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    return undefined;
  }
}

/** The first statement that holds for the package. */
export function findStatement(
  statements: readonly VexStatement[],
  found: InstalledPackage,
  names: readonly string[],
  imageDigest: string,
): VexStatement | undefined {
  return statements.find(
    ({ vulnerability, product, imageDigest: onlyIn }) =>
      names.includes(vulnerability) &&
      product.type === found.type &&
      (product.name === found.name || (product.type === 'deb' && product.name === found.source)) &&
      (product.version === '' || product.version === found.version) &&
      (onlyIn === '' || onlyIn === imageDigest),
  );
}
