// The public names of control/metrics: figures of this host for those who watch many.
export { METRICS_TYPES, type MetricsFormat } from './exposition.ts';
export { Metrics } from './metrics.ts';
