// `ringwall net plan`: what a policy file would open and close. Changes nothing.
import { EXIT_CODES } from '../../exit-codes.ts';
import { printJson, type Invocation } from '../../invocation.ts';
import { fileOf, readPolicyFile } from '../../network/policy-file.ts';
import { renderPlan } from '../../network/render-plan.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { out, self, json } = invocation;
  const file = fileOf(invocation, 'plan');
  const policy = await readPolicyFile(file);
  const plan = await invocation.withApi((api) => api.call('planPolicy', { body: { policy } }));
  const idle = plan.networks.some(({ findings }) => findings.some((finding) => finding.idle));
  const broken = plan.troubles.length > 0;
  if (json) {
    printJson(invocation, plan);
  } else {
    for (const line of renderPlan(out, plan, 'plan')) out.line(line);
    const next = broken
      ? 'It cannot be applied as it is.'
      : idle
        ? `A rule in it can never decide. Take it out, or: ${self} net apply ${file} --anyway`
        : `Nothing was changed. Apply it: ${self} net apply ${file}`;
    out.line(next);
  }
  return broken || idle ? EXIT_CODES.failed.code : 0;
}
