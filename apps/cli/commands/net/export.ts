// `ringwall net export`: all networks and their rules as one policy file, which `net apply` takes.
import { printJson, type Invocation } from '../../invocation.ts';

export async function run(invocation: Invocation): Promise<void> {
  printJson(invocation, await invocation.withApi((api) => api.call('exportPolicy')));
}
