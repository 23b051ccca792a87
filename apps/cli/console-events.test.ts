import { expect, it } from 'vitest';
import { consoleEvents, sayEvent } from './console-events.ts';
import { Terminal } from './terminal.ts';

function lines(): { readonly out: Terminal; readonly written: () => unknown[]; readonly raw: () => string } {
  let text = '';
  const out = new Terminal({ write: (more) => (text += more) }, {});
  return {
    out,
    raw: () => text,
    written: () =>
      text
        .trimEnd()
        .split('\n')
        .map((line): unknown => JSON.parse(line)),
  };
}

it('consoleEvents() makes a line of each piece, and keeps a character whole that was cut', () => {
  const { out, written } = lines();
  const output = consoleEvents(out);
  const [first, second] = [Buffer.from('# ä').subarray(0, 3), Buffer.from('# ä').subarray(3)];
  expect(output.write(first)).toBe(true);
  output.write(second);
  output.write(new Uint8Array());
  expect(written()).toEqual([
    { event: 'output', text: '# ' },
    { event: 'output', text: 'ä' },
  ]);
});

it('sayEvent() writes nothing that a terminal would act on, and loses nothing', () => {
  const { out, written, raw } = lines();
  const text = '\u001b]0;owned\u0007\u009b31m\u202e\u007f';
  sayEvent(out, { event: 'output', text });
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  expect(raw().trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(written()).toEqual([{ event: 'output', text }]);
});
