// One HTML file out of a template, a style sheet and scripts: all inline, with a Content-Security-Policy (Level 3) that
// allows exactly those bytes, and nothing from anywhere else.
import { createHash } from 'node:crypto';

export interface PageParts {
  /**
   * Markup with comments that elements take the place of: STYLE, SCRIPT, and the name of each of `data`; and with %POLICY%
   * and %VERSION% where attributes or text have them.
   */
  readonly template: string;
  readonly style: string;
  readonly script: string;
  readonly version: string;
  /** Texts that the page reads by these ids and that the browser does not run. */
  readonly data: Readonly<Record<string, string>>;
}

export function renderSinglePage({ template, style, script, version, data }: PageParts): string {
  // Trusted Types make the browser itself refuse innerHTML and whatever else would turn text into markup or script.
  const policy = [
    `default-src 'none'`,
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    `worker-src blob:`,
    `img-src data:`,
    `connect-src 'none'`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `require-trusted-types-for 'script'`,
    `trusted-types ringwall-judge`,
  ].join('; ');
  const elements: Readonly<Record<string, string>> = {
    STYLE: element('style', '', style),
    SCRIPT: element('script', '', script),
    ...Object.fromEntries(
      Object.entries(data).map(([id, text]) => [
        id.toUpperCase(),
        element('script', ` id="${id}" type="text/plain"`, text),
      ]),
    ),
  };
  return template
    .replaceAll('%POLICY%', policy)
    .replaceAll('%VERSION%', version)
    .replaceAll(/<!-- ([A-Z]+) -->/g, (_, name: string) => {
      const made = elements[name];
      if (made === undefined) throw new Error(`the template asks for ${name}, which nobody gave`);
      return made;
    });
}

function element(tag: 'style' | 'script', attributes: string, text: string): string {
  // What would end the element early, or begin a comment in it, is not a thing to escape but a bug to see (HTML 13.2.5).
  if (/<\/(?:script|style)|<!--/i.test(text)) throw new Error(`the ${tag} has markup that would end its element`);
  return `<${tag}${attributes}>${text}</${tag}>`;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
