// What is drawn is well-formed XML to a parser that is not ours, whatever names are like.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawMap } from './draw-map.ts';

const PYTHON = '/usr/bin/python3';
const lacks = existsSync(PYTHON) ? '' : ' (skipped: needs python3)';
const COUNT =
  'import sys, json, xml.dom.minidom as m; print([len(m.parseString(t.encode()).getElementsByTagName("title")) for t in json.load(sys.stdin)])';
const PICTURES = 60;

describe.skipIf(lacks !== '')(`a drawn map${lacks}`, () => {
  it('is XML, with a title for each card, line and label', () => {
    const names = fc.sample(fc.string({ maxLength: 30, unit: 'binary' }), { numRuns: PICTURES, seed: 7 });
    const texts = names.map((name) =>
      drawMap({
        network: name,
        nodes: [name, 'db'].map((each) => ({ name: each, machines: [name], outside: false })),
        edges: [{ from: 0, to: 1, services: [name], rules: [name] }],
      }),
    );
    const said = execFileSync(PYTHON, ['-I', '-c', COUNT], {
      input: JSON.stringify(texts.map((text) => text.toWellFormed())),
    });
    expect(JSON.parse(said.toString())).toEqual(names.map(() => 5));
  });
});
