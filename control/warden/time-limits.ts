// When rules with times make connections end: the kernel asks the clock when one begins, and never again. What stands is asked for as soon as
// a rule that allows is over or one that denies begins, and by whoever finds that such a moment went by unseen.
import type { Network, Rule } from '@ringwall/netpolicy';

/**
 * How long after the moment they are asked: whoever began just before it is known by then. The flows of an Open vSwitch change up to two
 * seconds late (its walls look as often), and what was ended before would begin again by the old ones.
 */
const SETTLED_AFTER_SECONDS: Readonly<Record<Network['mode'], number>> = {
  routed: 0.05,
  bridged: 0.05,
  openvswitch: 3,
};
/** The clock may be set meanwhile; setTimeout() itself waits for 24 days at most. */
const LONGEST_WAIT_SECONDS = 3_600;

export class TimeLimits implements Disposable {
  readonly #due: () => void;
  #moments: readonly number[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** By the clock, when connections were asked for last: all that a moment before has ended. */
  #askedAt = -Infinity;

  /** `due` is called when it may be time to ask: at most one timer runs. */
  constructor(due: () => void) {
    this.#due = due;
  }

  /** These rules are in force from now on. */
  follow({ rules, mode }: Pick<Network, 'rules' | 'mode'>): void {
    this.#moments = momentsOf(rules).map((moment) => moment + SETTLED_AFTER_SECONDS[mode]);
  }

  /** Whether connections may stand that could not begin any more because it is later now. */
  isDue(nowSeconds: number): boolean {
    // The clock was set back: moments come again.
    this.#askedAt = Math.min(this.#askedAt, nowSeconds);
    return this.#moments.some((moment) => this.#askedAt < moment && moment <= nowSeconds);
  }

  /** All that stands has been asked for. */
  asked(atSeconds: number): void {
    this.#askedAt = atSeconds;
  }

  /** Waits for the next moment, and for nothing where there is none. */
  wait(nowSeconds: number): void {
    clearTimeout(this.#timer);
    const next = Math.min(...this.#moments.filter((moment) => moment > nowSeconds));
    if (next === Infinity) return;
    const seconds = Math.min(next - nowSeconds, LONGEST_WAIT_SECONDS);
    this.#timer = setTimeout(this.#due, Math.ceil(seconds * 1_000)).unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** At which a rule lets no more begin what it let begin before. Unix time in seconds. */
function momentsOf(rules: readonly Rule[]): number[] {
  return rules.flatMap(({ action, after, before }) => (action === 'allow' ? before : after) ?? []);
}
