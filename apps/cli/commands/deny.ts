// `ringwall deny`: a rule that beats all that allow.
import type { Invocation } from '../invocation.ts';
import { addRule } from '../network/add-rule.ts';

export function run(invocation: Invocation): Promise<void> {
  return addRule(invocation, 'deny');
}
