// Text in XML and HTML: names and messages hold what somebody put into an image.

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** In contents and in attributes with quotes. What XML 1.0 has no character for, and what turns text around, is left out. */
export function escapeMarkup(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(
      // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g,
      '',
    )
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
