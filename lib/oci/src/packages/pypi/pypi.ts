// Packages of Python: `*.dist-info/METADATA` and `*.egg-info/PKG-INFO`, or `*.egg-info` itself, of any Python in the image.
// https://packaging.python.org/specifications/core-metadata/ and recording-installed-packages.
import type { Inspector } from '../../inspection/inspector.ts';
import { makePackage, unread } from '../package-fact.ts';

/** The headers come first; what follows is the readme. */
const MAX_HEADER_BYTES: number = 256 * 1024;
const METADATA = /(?:^|\/)[^/]+(?:\.dist-info\/METADATA|\.egg-info\/PKG-INFO|\.egg-info|EGG-INFO\/PKG-INFO)$/;

export const pypiInspector: Inspector = {
  id: 'pypi/1',
  wants: ({ type, path, bytes }) =>
    type === 'file' && METADATA.test(path) ? Math.min(bytes, MAX_HEADER_BYTES) : undefined,
  inspect: ({ path }, bytes) => {
    const fields = headersOf(new TextDecoder().decode(bytes));
    const licence = fields.get('license-expression') ?? fields.get('license') ?? '';
    const found = makePackage('pypi', {
      name: fields.get('name') ?? '',
      version: fields.get('version') ?? '',
      // Some put the whole text here.
      licence: licence.includes('\n') || licence === 'UNKNOWN' ? '' : licence,
    });
    return [found ?? unread(`${path} names no package`)];
  },
};

/** The first of each; lines that go on begin with a blank. */
function headersOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line === '') break;
    const [, name, value] = /^([A-Za-z-]+):\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined && !fields.has(name.toLowerCase()))
      fields.set(name.toLowerCase(), value);
  }
  return fields;
}
