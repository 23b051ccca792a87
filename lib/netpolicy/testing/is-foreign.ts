// Whether something ends with an error that is not this package's own.
import { NetPolicyError } from '../src/netpolicy-error.ts';

export function isForeign(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    return !(error instanceof NetPolicyError);
  }
}
