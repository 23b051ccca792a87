// Collects the garbage of this thread now: V8 does so when it needs room itself, and what four threads leave lying until then would be
// more than an image may take.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collector: (() => void) | undefined;

/** Takes some ten milliseconds. */
export function collectGarbage(): void {
  collector ??= openCollector();
  collector();
}

/** There is no other way to it than a flag that contexts made afterwards heed. */
function openCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('gc');
  return typeof found === 'function' ? () => void Reflect.apply(found, undefined, []) : () => undefined;
}
