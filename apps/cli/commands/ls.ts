// `ringwall ls`: all machines.
import { printJson, type Invocation } from '../invocation.ts';
import { renderMachineList } from '../report.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, self, now } = invocation;
  const list = await invocation.withApi((api) => api.call('listMachines'));
  if (invocation.json) printJson(invocation, list);
  else for (const line of renderMachineList(list, { terminal: out, self, nowMs: now() })) out.line(line);
}
