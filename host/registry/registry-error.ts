// The one error of asking a registry, beside OciError for what it answers.

/** Adding a code is a change for whoever handles them. */
export const REGISTRY_ERROR_CODES = [
  'unreachable', // nobody answers, or not by TLS
  'not-found', // it has no such image, or does not say so to strangers
  'unauthorized', // it wants a login, or does not take ours
  'rate-limited', // too often asked; the message says for how long
  'stalled', // it stopped sending, or sends too slowly to ever end
  'refused', // it answers what must not be followed: another protocol, too many redirects, too much
] as const;

export type RegistryErrorCode = (typeof REGISTRY_ERROR_CODES)[number];

export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: RegistryErrorCode;

  constructor(code: RegistryErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
