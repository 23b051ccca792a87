// Packages of RubyGems: the specifications of installed gems, `specifications/NAME-VERSION.gemspec`, which RubyGems writes as Ruby
// (Gem::Specification#to_ruby_for_cache). Nothing is evaluated: three assignments of literals are read, and the name of the file.
import type { Inspector } from '../../inspection/inspector.ts';
import { makePackage, unread } from '../package-fact.ts';

const MAX_FILE_BYTES: number = 256 * 1024;
/** `default` are those that come with Ruby itself. */
const SPECIFICATION = /(?:^|\/)specifications\/(?:default\/)?([^/]+)\.gemspec$/;

export const gemInspector: Inspector = {
  id: 'gem/1',
  wants: ({ type, path, bytes }) =>
    path.endsWith('.gemspec') && type === 'file' && SPECIFICATION.test(path)
      ? Math.min(bytes, MAX_FILE_BYTES)
      : undefined,
  inspect: ({ path }, bytes) => {
    const text = new TextDecoder().decode(bytes);
    const field = (name: string): string =>
      new RegExp(`^\\s*s\\.${name} = \\[?["']([^"'\\n]*)["']`, 'm').exec(text)?.[1] ?? '';
    // `nokogiri-1.16.2-x86_64-linux`: a name may have hyphens, a version begins with a digit.
    const [, name = '', version = ''] = /^(.+?)-(\d[^-]*)(?:-.*)?$/.exec(SPECIFICATION.exec(path)?.[1] ?? '') ?? [];
    const found = makePackage('gem', {
      name: field('name') || name,
      version: field('version') || version,
      licence: field('licenses'),
    });
    return [found ?? unread(`${path} names no gem`)];
  },
};
