// A clock that stands still while others have the processor, and the one limit that a test may have on what it shows: how
// fast something is, says a benchmark. A test says what runs away, and makes its input large enough for that.

/** A hundred times what anything here takes; what grows faster than its input takes minutes, on any machine. */
export const RUNAWAY_MS = 10_000;

/** Begins to count; the answer says how many milliseconds of a processor this thread has had since. */
export function startProcessorClock(): () => number {
  const before = process.threadCpuUsage();
  return () => {
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000;
  };
}
