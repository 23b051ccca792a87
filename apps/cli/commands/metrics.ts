// `ringwall metrics`: figures for Prometheus, as text: for its node exporter, which reads files, or for whoever looks.
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { writeWhole } from '../write-whole.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, json, values, environment } = invocation;
  const text = await invocation.withApi((api) => api.metrics());
  const file = values.get('out');
  if (file === undefined) {
    if (json) printJson(invocation, { metrics: text });
    else for (const line of text.trimEnd().split('\n')) out.line(line);
    return;
  }
  try {
    writeWhole(file, text, environment);
  } catch (cause) {
    throw new RingwallError('bad-request', `${file} cannot be written`, { cause });
  }
}
