// `ringwall show`: one machine, and which of its protections hold.
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { renderMachine } from '../report.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, self, now } = invocation;
  const detail = await invocation.withApi((api) =>
    api.call('showMachine', { params: { machine: argumentOf(invocation, 0) } }),
  );
  if (invocation.json) printJson(invocation, detail);
  else for (const line of renderMachine(detail, { terminal: out, self, nowMs: now() })) out.line(line);
}
