// `ringwall allow`: a rule that lets connections through.
import type { Invocation } from '../invocation.ts';
import { addRule } from '../network/add-rule.ts';

export function run(invocation: Invocation): Promise<void> {
  return addRule(invocation, 'allow');
}
