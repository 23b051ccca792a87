// A clock that stands still while others have the processor: a test that says "soon" by it does not fail on a busy machine.

/** Begins to count; the answer says how many milliseconds of a processor this thread has had since. */
export function startProcessorClock(): () => number {
  const before = process.threadCpuUsage();
  return () => {
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000;
  };
}
