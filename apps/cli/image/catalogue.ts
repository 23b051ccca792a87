// `ringwall image remember`: an image put into the catalogue of this user, with what was found in it. By it a scan tells what other
// images inherit from it, and what a newer one would fix.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { addToCatalogue } from '@ringwall/host/images';
import { compileReport, IMAGE_RULES, judgeImage, vulnerabilityRule } from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { withAdvisories } from './advisories.ts';
import { openScanned } from './inspect-subject.ts';
import { reading, usage } from './names.ts';
import { subjectKind } from './subject.ts';

/** As the XDG Base Directory Specification has it: it is the user's own, and no cache. */
export function catalogueFile({ environment }: Invocation): string {
  const data = environment['XDG_DATA_HOME'] || join(environment['HOME'] ?? homedir(), '.local', 'share');
  return join(data, 'ringwall', 'images.json');
}

export async function rememberImage(invocation: Invocation, subject: string): Promise<number> {
  const { out, json, self, values } = invocation;
  const name = values.get('name');
  if (name === undefined)
    throw usage('an image is remembered by a name', `as in: ${self} image remember ${subject} --name debian:12.8`);
  const kind = subjectKind(invocation, subject);
  if (kind !== 'image' && kind !== 'name')
    throw usage(`${subject} has no layers`, 'name an archive, a layout, or an image');
  const scanned = await openScanned(invocation, subject);
  if (scanned === undefined) return EXIT_CODES.refused.code;
  const { image, digest } = scanned;
  const report = compileReport({
    subject,
    digest,
    image,
    findings: withAdvisories(invocation, (source) => judgeImage(image, [...IMAGE_RULES, vulnerabilityRule(source)])),
    ancestry: { ancestors: [], doubts: [] },
    known: [],
    ignore: [],
    notes: [],
    signed: '',
    now: new Date(invocation.now()),
  });
  const known = {
    name,
    digest,
    diffIds: image.layers.map(({ diffId }) => diffId),
    created: image.config.created,
    findings: report.findings.map(({ id }) => id),
  };
  reading('the catalogue', () => addToCatalogue(catalogueFile(invocation), known));
  if (json) printJson(invocation, { name, digest, layers: known.diffIds.length, findings: known.findings.length });
  else
    out.line(
      `${out.tick} ${plainText(name)} is known: ${String(known.diffIds.length)} layers, ${String(known.findings.length)} findings`,
    );
  return EXIT_CODES.ok.code;
}
