// An image that is named, in a registry: its name is judged first, and nobody is asked for a byte of one that is a trap.
import { RingwallError, type ErrorCode } from '@ringwall/api/errors';
import { openRemoteImage, readCredentials, RegistryError, type RemoteImage } from '@ringwall/host/registry';
import { canonicalName, canonicalReference, parseReference, withDefaultTag, type Reference } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { reading } from './given.ts';
import { compileNames } from './names.ts';
import { platformOf } from './platform.ts';
import { renderName } from './render-name.ts';

const ERROR_CODES: Readonly<Record<RegistryError['code'], ErrorCode>> = {
  unreachable: 'image-failed',
  'not-found': 'not-found',
  unauthorized: 'unauthorized',
  'rate-limited': 'image-failed',
  stalled: 'timeout',
  refused: 'image-failed',
};

/** undefined where the name was refused, which was said. */
export function admitName(invocation: Invocation, name: string): Reference | undefined {
  const { err, values, self } = invocation;
  const verdict = reading(name, () => compileNames(invocation).judge(name));
  if (verdict.verdict === 'block') {
    for (const line of renderName(name, verdict, err)) err.line(line);
    err.line(`    nobody was asked for it. Where it is meant all the same: --allow FILE`);
    return undefined;
  }
  const reference = withDefaultTag(reading(name, () => parseReference(name)));
  const whole = canonicalName(reference);
  if (verdict.verdict === 'allow' || values.get('confirm') === whole) return reference;
  for (const line of renderName(name, verdict, err)) err.line(line);
  err.line(`    nobody was asked for it. Where it is meant: ${self} image … --confirm ${plainText(whole)}`);
  return undefined;
}

/** Throws `RingwallError` for what the registry lacks or does. */
export async function openRemote(
  invocation: Invocation,
  reference: Reference,
  signal: AbortSignal,
): Promise<RemoteImage> {
  return await asking(canonicalReference(reference), () =>
    openRemoteImage(reference, {
      platform: platformOf(invocation),
      signal,
      credentials: readCredentials(invocation.environment),
      mirrors: namesOf(invocation, 'mirror'),
      plainHttp: new Set(namesOf(invocation, 'plain-http')),
    }),
  );
}

export async function asking<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    throw new RingwallError(ERROR_CODES[cause.code], `${name}: ${plainText(cause.message)}`, { cause });
  }
}

/** Several are separated by commas. */
export function namesOf({ values }: Invocation, option: string): string[] {
  return (values.get(option) ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
