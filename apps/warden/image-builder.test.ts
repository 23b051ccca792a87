// What the builder says is shown to people and decides nothing else; what a host lacks is named with its package.
import { RingwallError } from '@ringwall/api';
import { describe, expect, it } from 'vitest';
import { findEntry } from './accounts.ts';
import { requireComponents } from './components.ts';
import { parseLine } from './image-builder.ts';

describe('parseLine()', () => {
  it('reads progress', () => {
    expect(parseLine('{"step":"hashing","fraction":0.5}')).toEqual({ step: 'hashing', fraction: 0.5 });
  });

  it('reads an error as one', () => {
    const error = parseLine('{"error":{"code":"host-lacks","message":"no mmdebstrap","hint":"apt-get install it"}}');
    expect(error).toBeInstanceOf(RingwallError);
    expect(error).toMatchObject({ code: 'host-lacks', hint: 'apt-get install it' });
  });

  it.each([
    '',
    'W: some warning',
    '[]',
    'null',
    '{"step":1}',
    '{"step":"x","fraction":7}',
    '{"error":{"code":"root"}}',
  ])('passes over %j', (line) => expect(parseLine(line)).toBeUndefined());

  it('cuts a step that fills a screen', () => {
    expect(parseLine(JSON.stringify({ step: 'x'.repeat(1000) }))).toMatchObject({ step: 'x'.repeat(120) });
  });
});

describe('requireComponents()', () => {
  it('names what is missing and the packages that bring it', async () => {
    const missing = [
      { path: '/no/such/swtpm', package: 'swtpm' },
      { path: '/no/such/code', package: 'ovmf' },
      { path: '/no/such/vars', package: 'ovmf' },
      { path: '/', package: 'base-files' },
    ];
    await expect(requireComponents(missing)).rejects.toMatchObject({
      code: 'host-lacks',
      message: 'this host has no /no/such/swtpm, /no/such/code, /no/such/vars',
      hint: 'apt-get install swtpm ovmf',
    });
  });
});

describe('findEntry()', () => {
  it('finds a name as a whole', () => {
    const passwd = 'root:x:0:0::/root:/bin/sh\nringwall-broker:x:998:998::/:/\nringwall:x:999:997::/:/\n';
    expect(findEntry(passwd, 'ringwall')?.slice(2, 4)).toEqual(['999', '997']);
    expect(findEntry(passwd, 'ring')).toBeUndefined();
  });
});
