// Every waiting time of the daemon's work on machines, with its reason. Tests pass shorter ones.

export interface Timing {
  /** How often machines that run are looked at: a death is told within this. */
  readonly observeMs: number;
  /** Longer unseen than this, and a machine counts as unknown, not as healthy. */
  readonly staleMs: number;
  /** How often the broker is asked while a guest boots. */
  readonly verdictMs: number;
  /** How often the broker is asked how the watched machines stand: a quarantine is told, and a network closed, within this. */
  readonly watchMs: number;
  /** How long a guest may take to be judged: ten times what an idle host needs. */
  readonly attestMs: { readonly kvm: number; readonly tcg: number };
  /** What a guest that was booting when the daemon died still gets: its own retries last 60 s. */
  readonly resumedAttestMs: number;
  /** How long a broker may be away while a guest boots: the guest itself waits no longer. */
  readonly judgeAwayMs: number;
  /** How long a guest that has its key may take: LUKS is formatted at the first boot. */
  readonly unlockMs: number;
  /** How long a refused guest may take to say so on its console, which is where an operator looks next: 3 s emulated. */
  readonly lastWordsMs: number;
  /** How long a warden or broker that does not answer is waited for: both come back within seconds. */
  readonly patienceMs: number;
  readonly patienceStepMs: number;
  /** Before a network that the warden did not make as it is wanted is asked for again. */
  readonly networkRetryMs: number;
  /** How often machines with cards are looked at although nothing was said of them: trust also ends by growing old. */
  readonly networkLookMs: number;
  /** How soon a warden must have said something, or somebody else is on its socket: it says within 500 ms that it hears. */
  readonly strangerMs: number;
  readonly rejoinMs: {
    /** Before the relay joins broker and guest again, growing from the first to the second. */
    readonly first: number;
    readonly most: number;
    /** A guest that has said nothing for so long waits for an answer; its next hello comes 2 s after the last. */
    readonly quiet: number;
  };
  /** What a guest gets to power down where nobody says otherwise. */
  readonly graceMs: number;
}

export const TIMING: Timing = {
  observeMs: 2_000,
  staleMs: 10_000,
  verdictMs: 250,
  watchMs: 400,
  attestMs: { kvm: 60_000, tcg: 180_000 },
  resumedAttestMs: 75_000,
  judgeAwayMs: 60_000,
  unlockMs: 120_000,
  lastWordsMs: 6_000,
  patienceMs: 15_000,
  patienceStepMs: 250,
  networkRetryMs: 2_000,
  networkLookMs: 5_000,
  strangerMs: 2_000,
  rejoinMs: { first: 100, most: 2_000, quiet: 600 },
  graceMs: 10_000,
};

/** How long a call to the warden may take, where 30 s are not enough. */
export const CALL_TIMEOUT_MS = {
  /** A Debian root from a slow mirror, on one slow core. */
  'build-image': 45 * 60_000,
  /** Making keys in a TPM, and allocating a disk. */
  'create-machine': 120_000,
  /** Each of its programs has its own time to start; the first start after a boot of the host tries the accelerator with a probe guest. */
  'start-machine': 240_000,
  /** Beside the grace itself. */
  'stop-machine': 60_000,
  'remove-machine': 60_000,
  /** Its disk is copied and sealed, and put in place again: some 200 MB a second on one slow core. */
  'take-snapshot': 4 * 60 * 60_000,
  'restore-machine': 4 * 60 * 60_000,
  'clone-disk': 4 * 60 * 60_000,
  'hold-template': 4 * 60 * 60_000,
  'clone-live': 4 * 60 * 60_000,
  'check-snapshot': 4 * 60 * 60_000,
  'host-report': 60_000,
} as const;

/** What a boot takes where nothing better is known: measured on one core that is busy with little else. */
export const TYPICAL_BOOT_MS: { readonly kvm: number; readonly tcg: number } = { kvm: 3_000, tcg: 12_000 };
