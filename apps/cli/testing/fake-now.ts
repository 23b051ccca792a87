// The time of tests.

/** The time of every test, so that ages are always the same. */
export const FAKE_NOW: number = Date.parse('2026-11-21T12:00:00Z');
