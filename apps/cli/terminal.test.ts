import { describe, expect, it } from 'vitest';
import { renderTable } from './table.ts';
import { plainText, Terminal, wrapText } from './terminal.ts';

const UTF8 = { LANG: 'C.UTF-8' };
const write = (): boolean => true;
const tty = (columns: number, environment: Record<string, string> = UTF8): Terminal =>
  new Terminal({ write, isTTY: true, columns }, environment);

describe('Terminal', () => {
  it('paints for people only', () => {
    expect(tty(80).paint('red', 'x')).toBe('\u001b[31mx\u001b[39m');
    expect(new Terminal({ write }, UTF8).paint('red', 'x')).toBe('x');
    expect(tty(80, { ...UTF8, NO_COLOR: '1' }).paint('red', 'x')).toBe('x');
    expect(tty(80, { ...UTF8, NO_COLOR: '' }).paint('red', 'x')).not.toBe('x');
    expect(tty(80, { ...UTF8, TERM: 'dumb' }).paint('red', 'x')).toBe('x');
  });

  it('shows only signs that the locale has', () => {
    expect(tty(80).ellipsis).toBe('…');
    expect(tty(80, { LANG: 'C' }).ellipsis).toBe('...');
    expect(tty(80, { LC_ALL: 'C', LANG: 'de_DE.UTF-8' }).ellipsis).toBe('...');
  });
});

describe('renderTable()', () => {
  const columns = [{ title: 'NAME', elastic: true }, { title: 'CPUS', align: 'right' }, { title: 'SEEN' }] as const;
  const rows = [
    [{ text: 'a-rather-long-name' }, { text: '2' }, { text: 'here' }],
    [{ text: 'b' }, { text: '16' }, { text: '' }],
  ];

  it('aligns, and leaves no space at the end', () => {
    expect(renderTable(tty(80, { ...UTF8, NO_COLOR: '1' }), columns, rows)).toEqual([
      'NAME                CPUS  SEEN',
      'a-rather-long-name     2  here',
      'b                     16',
    ]);
  });

  it('cuts what is elastic where the terminal ends', () => {
    const lines = renderTable(tty(24, { ...UTF8, NO_COLOR: '1' }), columns, rows);
    expect(lines).toEqual(['NAME          CPUS  SEEN', 'a-rather-lo…     2  here', 'b               16']);
  });

  it('cuts nothing in a pipe', () => {
    expect(renderTable(new Terminal({ write }, UTF8), columns, rows)[1]).toContain('a-rather-long-name');
  });

  it('is as wide with colour as without', () => {
    // oxlint-disable-next-line no-control-regex -- colours are taken out
    const bare = renderTable(tty(80), columns, rows).map((line) => line.replaceAll(/\u001b\[\d+m/g, ''));
    expect(bare).toEqual(renderTable(new Terminal({ write }, UTF8), columns, rows));
  });
});

describe('wrapText()', () => {
  it('breaks between words and keeps long ones whole', () => {
    expect(wrapText('one two three', 24, 2)).toEqual(['  one two three']);
    expect(wrapText('one two three four five six', 24, 4)).toEqual(['    one two three four', '    five six']);
    expect(wrapText('x'.repeat(50), 24, 2)).toEqual([`  ${'x'.repeat(50)}`]);
    expect(wrapText('  ', 24, 2)).toEqual([]);
  });
});

describe('plainText()', () => {
  it('takes out everything that a terminal would obey', () => {
    expect(plainText('a\u001b[31mb\u0007\u009bc\r\u202ed\te\n')).toBe('a[31mbcd\te\n');
  });
});
