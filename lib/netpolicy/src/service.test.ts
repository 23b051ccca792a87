import { describe, expect, test } from 'vitest';
import { parseService, parseSingleService, printService } from './service.ts';

describe('parseService()', () => {
  test.each(['tcp/5432', 'udp/5000-5010', 'tcp', 'gre', 'icmp/8', 'icmpv6/128', 'sctp/1-2'])(
    'reads and prints %s',
    (text) => {
      expect(parseService(text, '').map((range) => printService(range))).toEqual([text]);
    },
  );

  test('knows types of ICMP by name, and what a ping is', () => {
    expect(parseService('icmpv6/echo-request', '')).toEqual([{ protocol: 58, first: 128, last: 128 }]);
    expect(parseService('ping', '').map((range) => printService(range))).toEqual(['icmp/8', 'icmpv6/128']);
    expect(parseService('any', '')).toHaveLength(256);
  });

  test.each([
    'tcp/',
    'tcp/65536',
    'tcp/2-1',
    'tcp/1-2-3',
    'tcp/0x10',
    'tcp/080',
    'tcp/http',
    'icmp/256',
    'gre/1',
    'tcp/1/2',
    'TCP/1',
    'constructor',
    'icmp/toString',
    '',
    'tcp / 1',
  ])('refuses %s', (text) => {
    expect(() => parseService(text, 'x')).toThrow(expect.objectContaining({ code: 'service-invalid', at: 'x' }));
  });
});

test('parseSingleService() takes one service alone', () => {
  expect(parseSingleService('tcp/22', 4, '')).toEqual({ protocol: 6, number: 22 });
  expect(parseSingleService('ping', 6, '')).toEqual({ protocol: 58, number: 128 });
  for (const text of ['any', 'tcp', 'tcp/1-2']) {
    expect(() => parseSingleService(text, 4, '')).toThrow(expect.objectContaining({ code: 'service-invalid' }));
  }
});
