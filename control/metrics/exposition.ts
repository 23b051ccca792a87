// Metrics as text: Prometheus' format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats) and OpenMetrics 1.0.0. The two differ in
// what a counter's family is called, and in the end that OpenMetrics has. Label values are names that people gave: they are escaped here,
// and nowhere else.

export type MetricsFormat = 'prometheus' | 'openmetrics';

export const METRICS_TYPES: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  /** Without `_total`, which a counter's samples get. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** A family without samples is left out: there is nothing to say of it. */
export function renderMetrics(families: readonly Family[], format: MetricsFormat): string {
  const lines = families.flatMap(({ name, type, help, samples }) => {
    if (samples.length === 0) return [];
    const sampled = type === 'counter' ? `${name}_total` : name;
    const family = format === 'openmetrics' ? name : sampled;
    return [
      `# HELP ${family} ${escaped(help, format)}`,
      `# TYPE ${family} ${type}`,
      ...samples.map(({ labels = {}, value }) => `${sampled}${renderLabels(labels)} ${String(value)}`),
    ];
  });
  return [...lines, ...(format === 'openmetrics' ? ['# EOF'] : []), ''].join('\n');
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value, 'openmetrics')}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** In values of labels quotes end it; in help they do so for OpenMetrics alone, and Prometheus would show the backslash. */
function escaped(text: string, format: MetricsFormat): string {
  const lines = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return format === 'openmetrics' ? lines.replaceAll('"', '\\"') : lines;
}
