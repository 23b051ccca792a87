// Names from a disk as people see them: any byte may be in one, a line feed or a terminal's commands among them.
import { plainText } from '../terminal.ts';

/** One line; what is no printable text is written as an escape. */
export function shownName(name: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const escaped = name.replaceAll(/[\u0000-\u001f\u007f\\\udc80-\udcff]/g, (character) => {
    if (character === '\\') return '\\\\';
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    // U+DC80 to U+DCFF stand for single bytes that are no UTF-8.
    return `\\x${(character.charCodeAt(0) & 0xff).toString(16).padStart(2, '0')}`;
  });
  return plainText(escaped).toWellFormed();
}
