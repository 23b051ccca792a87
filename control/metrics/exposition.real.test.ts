// What we write is read by the parsers of Prometheus' own client library, and they read what we meant, whatever names are like.
import { existsSync } from 'node:fs';
import { run, runChecked } from '@ringwall/host/exec';
import { describe, expect, it } from 'vitest';
import { type Family, type MetricsFormat, renderMetrics } from './exposition.ts';

const PYTHON = '/usr/bin/python3';
const LIBRARY = '/usr/lib/python3/dist-packages/prometheus_client';
const lacks = [PYTHON, LIBRARY].every((path) => existsSync(path)) ? '' : ' (skipped: needs python3-prometheus-client)';
const READ = `
import json, sys
from prometheus_client import parser
from prometheus_client.openmetrics import parser as strict
text = sys.stdin.read()
read = strict if sys.argv[1] == 'openmetrics' else parser
print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
                  for f in read.text_string_to_metric_families(text)]))`;

const NAMES = ['web', '', '"', '\\', '\\n', 'a\nb', '} 1', '{x="y"}', '# EOF', 'ü → 語', '\t ', ',', '\\"'];
const FAMILIES: readonly Family[] = [
  { name: 'rw_up', type: 'gauge', help: 'A "quote" and a \\ and a\nline.', samples: [{ value: 0 }] },
  {
    name: 'rw_packets',
    type: 'counter',
    help: 'Packets.',
    samples: NAMES.map((machine, index) => ({ labels: { machine, network: `n${index}` }, value: index * 1e12 })),
  },
];

describe.skipIf(lacks !== '')(`exposition${lacks}`, () => {
  it.each<MetricsFormat>(['prometheus', 'openmetrics'])('%s is read as it was meant', async (format) => {
    const input = renderMetrics(FAMILIES, format);
    const { stdout } = await runChecked(run, [PYTHON, '-I', '-c', READ, format], { input });
    expect(JSON.parse(stdout.toString())).toEqual([
      ['rw_up', 'gauge', 'A "quote" and a \\ and a\nline.', [['rw_up', {}, 0]]],
      [
        'rw_packets',
        'counter',
        'Packets.',
        NAMES.map((machine, index) => ['rw_packets_total', { machine, network: `n${index}` }, index * 1e12]),
      ],
    ]);
  });
});
