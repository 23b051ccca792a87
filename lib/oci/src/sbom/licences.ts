// Which licences an image carries, and which packages: a list for people. What packages say nothing of stands at the end, and is
// never left out.
import type { ImagePackages } from '../packages/installed-packages.ts';

const UNSAID = 'not said';

/** Lines of a licence, a tab, how many, a tab, which; those that most packages have first. */
export function renderLicences({ packages }: ImagePackages): string {
  const byLicence = Map.groupBy(packages, ({ licence, concludedLicence = '' }) => {
    if (licence !== '') return licence;
    return concludedLicence === '' ? UNSAID : `${concludedLicence} (read out of the text)`;
  });
  const lines = [...byLicence]
    .map(([licence, each]) => ({ licence, names: [...new Set(each.map(({ name }) => name))].toSorted() }))
    .toSorted(
      (one, other) =>
        Number(one.licence === UNSAID) - Number(other.licence === UNSAID) ||
        other.names.length - one.names.length ||
        (one.licence < other.licence ? -1 : 1),
    )
    .map(({ licence, names }) => [licence, String(names.length), names.join(', ')].map(onOneLine).join('\t'));
  return lines.map((line) => `${line}\n`).join('');
}

/** Whoever made the image writes names and licences. */
function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
}
