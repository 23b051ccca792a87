import { describe, expect, it } from 'vitest';
import { type Family, renderMetrics } from './exposition.ts';

const FAMILIES: readonly Family[] = [
  { name: 'up', type: 'gauge', help: 'Whether "it" is \\ up.', samples: [{ value: 1 }] },
  {
    name: 'packets',
    type: 'counter',
    help: 'Packets.',
    samples: [{ labels: { machine: 'we"b\n} 1\\', network: 'app' }, value: 9_007_199_254_740_991 }],
  },
  { name: 'none', type: 'gauge', help: 'Nothing.', samples: [] },
];

describe('renderMetrics()', () => {
  it('writes Prometheus’ own format', () => {
    expect(renderMetrics(FAMILIES, 'prometheus')).toBe(
      [
        '# HELP up Whether "it" is \\\\ up.',
        '# TYPE up gauge',
        'up 1',
        '# HELP packets_total Packets.',
        '# TYPE packets_total counter',
        'packets_total{machine="we\\"b\\n} 1\\\\",network="app"} 9007199254740991',
        '',
      ].join('\n'),
    );
  });

  it('writes OpenMetrics, where a family is named without _total, and has an end', () => {
    expect(renderMetrics(FAMILIES, 'openmetrics').split('\n')).toEqual([
      '# HELP up Whether \\"it\\" is \\\\ up.',
      '# TYPE up gauge',
      'up 1',
      '# HELP packets Packets.',
      '# TYPE packets counter',
      'packets_total{machine="we\\"b\\n} 1\\\\",network="app"} 9007199254740991',
      '# EOF',
      '',
    ]);
  });
});
