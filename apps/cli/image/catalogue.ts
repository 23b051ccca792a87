// `ringwall image remember`: an image put into the catalogue of this user, with what was found in it. By it a scan tells what other
// images inherit from it, and what a newer one would fix.
import { addToCatalogue } from '@ringwall/host/images';
import { findingId } from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { catalogueFile } from './catalogue-file.ts';
import { reading, usage } from './given.ts';
import { judgeSubject, NO_VEX } from './judge-subject.ts';
import { subjectKind } from './subject.ts';

export async function rememberImage(invocation: Invocation, subject: string): Promise<number> {
  const { out, json, self, values } = invocation;
  const name = values.get('name');
  if (name === undefined)
    throw usage('an image is remembered by a name', `as in: ${self} image remember ${subject} --name debian:12.8`);
  const kind = subjectKind(invocation, subject);
  if (kind !== 'image' && kind !== 'name')
    throw usage(`${subject} has no layers`, 'name an archive, a layout, or an image');
  const judged = await judgeSubject(invocation, kind, subject, NO_VEX);
  if (judged === undefined) return EXIT_CODES.refused.code;
  const { image, digest, findings } = judged;
  const known = {
    name,
    digest,
    diffIds: image.layers.map(({ diffId }) => diffId),
    created: image.config.created,
    findings: findings.map(findingId),
  };
  reading('the catalogue', () => addToCatalogue(catalogueFile(invocation), known));
  if (json) printJson(invocation, { name, digest, layers: known.diffIds.length, findings: known.findings.length });
  else
    out.line(
      `${out.tick} ${plainText(name)} is known: ${String(known.diffIds.length)} layers, ${String(known.findings.length)} findings`,
    );
  return EXIT_CODES.ok.code;
}
