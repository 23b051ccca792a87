// Why a thread has failed, on its way to another: an error keeps no class on that.
export interface Failure {
  readonly name: string;
  readonly message: string;
  /** One of the house's, or of the system (`ENOSPC`). */
  readonly code: string | undefined;
  /** Where it came upon that, of an error that says so. */
  readonly offset: number | undefined;
}

export function failureOf(error: unknown): Failure {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const offset = error instanceof Error && 'offset' in error ? error.offset : undefined;
  return { name, message, code, offset: typeof offset === 'number' ? offset : undefined };
}
