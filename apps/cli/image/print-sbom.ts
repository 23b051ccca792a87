// `ringwall image sbom`: what is installed in an image, as a bill of materials that other tools read, or as a list of licences.
import {
  installedPackages,
  renderCycloneDx,
  renderLicences,
  renderSpdx,
  type ImagePackages,
  type SbomSubject,
} from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import type { Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';
import { usage } from './given.ts';
import { openScanned } from './inspect-subject.ts';

type Render = (subject: SbomSubject, packages: ImagePackages) => string;

const RENDERERS: Readonly<Record<string, Render>> = {
  cyclonedx: renderCycloneDx,
  spdx: renderSpdx,
  licences: (_subject, packages) => renderLicences(packages),
};

export async function printSbom(invocation: Invocation, subject: string): Promise<number> {
  const { values, out, err } = invocation;
  const wanted = values.get('format') ?? 'cyclonedx';
  const render = Object.hasOwn(RENDERERS, wanted) ? RENDERERS[wanted] : undefined;
  if (render === undefined)
    throw usage(`--format ${JSON.stringify(wanted)}`, `of sbom one of ${Object.keys(RENDERERS).join(', ')}`);
  const scanned = await openScanned(invocation, subject);
  if (scanned === undefined) return EXIT_CODES.refused.code;
  const { image, digest } = scanned;
  const packages = installedPackages(image);
  const layers = image.layers.map((layer) => layer.digest);
  const text = render({ name: subject, digest, created: image.config.created, layers }, packages);
  const output = values.get('output');
  if (output === undefined) out.write(text);
  else writeWhole(output, text, invocation.environment);
  for (const { why } of packages.unread) err.line(`${err.bang} not whole: ${plainText(why)}`);
  return packages.unread.length === 0 ? EXIT_CODES.ok.code : EXIT_CODES.failed.code;
}
