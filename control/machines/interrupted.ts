// Why work on a machine was broken off from outside: somebody wants something else of it, or the daemon ends.

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** `shutdown`: nothing is written, so that the daemon's next life goes on with it. */
  readonly reason: 'cancelled' | 'shutdown';

  constructor(reason: 'cancelled' | 'shutdown') {
    super(`interrupted: ${reason}`);
    this.reason = reason;
  }
}

/** The reason of a signal that was aborted, whatever error the abort has come out as. */
export function interruptionOf(signal: AbortSignal): Interrupted | undefined {
  return signal.aborted && signal.reason instanceof Interrupted ? signal.reason : undefined;
}
