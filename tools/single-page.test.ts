import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { renderSinglePage, type PageParts } from './single-page.ts';

const parts: PageParts = {
  template: '<meta content="%POLICY%"><!-- STYLE --><p>%VERSION%</p><!-- DATA --><!-- SCRIPT -->',
  style: 'p { color: red }',
  script: "console.log('$& %POLICY% <!')",
  version: '1.2.3',
  data: { data: 'let x = 1;' },
};

describe('renderSinglePage()', () => {
  it('allows exactly the script and style that are in the page', () => {
    const page = renderSinglePage(parts);
    for (const tag of ['script', 'style']) {
      const content = new RegExp(`<${tag}>(.*)</${tag}>`).exec(page)?.[1] ?? '';
      const hash = createHash('sha256').update(content).digest('base64');
      expect(page).toContain(`${tag}-src 'sha256-${hash}'`);
    }
    expect(page).toContain(`<script id="data" type="text/plain">let x = 1;</script>`);
    expect(page).toContain('<p>1.2.3</p>');
  });

  it('allows nothing else, and no network', () => {
    const policy = /content="([^"]+)"/.exec(renderSinglePage(parts))?.[1] ?? '';
    expect(policy).toMatch(/^default-src 'none'; /);
    for (const rule of [
      `connect-src 'none'`,
      `form-action 'none'`,
      `base-uri 'none'`,
      `require-trusted-types-for 'script'`,
    ]) {
      expect(policy).toContain(rule);
    }
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  });

  it.each(['</script>', '</STYLE >', '<!--'])('refuses a script with %s, which would end it early', (markup) => {
    expect(() => renderSinglePage({ ...parts, script: `"${markup}"` })).toThrow('would end its element');
    expect(() => renderSinglePage({ ...parts, data: { data: markup } })).toThrow('would end its element');
  });

  it('refuses a template that asks for what nobody gave', () => {
    expect(() => renderSinglePage({ ...parts, template: '<!-- NOTHING -->' })).toThrow('asks for NOTHING');
  });
});
