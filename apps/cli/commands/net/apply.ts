// `ringwall net apply`: puts a policy file in force, all of it or nothing.
import { printJson, type Invocation } from '../../invocation.ts';
import { fileOf, readPolicyFile } from '../../network/policy-file.ts';
import { renderPlan } from '../../network/render-plan.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, json, flags } = invocation;
  const policy = await readPolicyFile(fileOf(invocation, 'apply'));
  await invocation.needServices();
  const body = { policy, ...(flags.has('anyway') ? { anyway: true } : {}) };
  const plan = await invocation.withApi((api) => api.call('applyPolicy', { body }));
  if (json) {
    printJson(invocation, plan);
    return;
  }
  for (const line of renderPlan(out, plan, 'apply')) out.line(line);
  const changed = plan.networks.some(({ does }) => does !== 'keep');
  out.line(changed ? `${out.tick} The policy is in force.` : 'All of it was in force already.');
}
