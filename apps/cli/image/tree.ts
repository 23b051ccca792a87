// `ringwall image tree`: all images of a registry or a layout as they are built upon each other, and the few ancestors whose update
// takes the most away.
import { createHash } from 'node:crypto';
import { plantTree, renderTreeHtml, reportStyle } from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { judging } from './judging.ts';
import { usage } from './given.ts';
import { asking } from './remote.ts';
import { renderTree } from './render-tree.ts';
import { MAX_TAGS, surveyImages } from './survey.ts';

const FORMATS = ['text', 'json', 'html'] as const;

export async function showTree(invocation: Invocation, subjects: readonly string[]): Promise<number> {
  const { out, err, json, flags, values } = invocation;
  const wanted = values.get('format') ?? (json ? 'json' : 'text');
  const format = FORMATS.find((each) => each === wanted);
  if (format === undefined || (json && format !== 'json'))
    throw usage(`--format ${JSON.stringify(wanted)}`, `of tree one of ${FORMATS.join(', ')}`);
  const shown = subjects.join(', ');
  const { images, failures, left, notes } = await (async () => {
    using progress = invocation.progress();
    const survey = await judging(shown, () =>
      asking(shown, () => surveyImages(invocation, subjects, (step) => progress.step(step))),
    );
    progress.done();
    return survey;
  })();
  const tree = plantTree(images);
  if (format === 'json') printJson(invocation, { subjects, ...tree, failures, notes, whole: !left });
  else if (format === 'html') {
    const styleDigest = `sha256-${createHash('sha256').update(reportStyle()).digest('base64')}`;
    out.write(renderTreeHtml(shown, tree, failures, styleDigest));
  } else for (const line of renderTree(shown, tree, failures, out, flags.has('all'))) out.line(line);
  if (format !== 'json') for (const note of notes) err.line(`${err.bang} ${plainText(note)}`);
  if (left) err.line(`${err.bang} there are more than ${String(MAX_TAGS)} tags: name a part, as in REGISTRY/acme`);
  // What could not be judged may be the worst of all.
  return failures.length > 0 || left ? EXIT_CODES.failed.code : EXIT_CODES.ok.code;
}
