// What is said of the watch of a running machine, between broker, daemon and users: its modes, its states, and what ran
// that is not of the image. docs/protocols/watching.md says what is watched.
import { z } from 'zod';
import { BOOT_ID } from './ids.ts';

/**
 * What follows when something ran that is not of the image. `enforce`: the machine is quarantined, and gets no key at its
 * next start. `pause`: its processors are stopped, too. `report`: it is told, and stays attested. `off`: nobody looks.
 */
export const WATCH_MODES = ['enforce', 'pause', 'report', 'off'] as const;
export const watchModeSchema = z.enum(WATCH_MODES);
export type WatchMode = z.infer<typeof watchModeSchema>;

/** From one question to the next. The lower end costs a broker and a guest a few percent of a processor each. */
export const WATCH_INTERVAL_LIMITS_MS = { min: 250, max: 60_000 } as const;

/**
 * `awaited`: the boot was proven, and nothing seen since. `expected`: all that ran is of the image. `unexpected`: something
 * is not, and the mode tells it only. `quarantined`: something is not, or the machine is not the boot that was proven.
 */
export const watchStateSchema = z.enum(['awaited', 'expected', 'unexpected', 'quarantined']);
export type WatchState = z.infer<typeof watchStateSchema>;

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

/** What the digest of an image is made of, so that its list of files is known by it: ImageParts of lib/evidence. */
export const imagePartsSchema = z.object({
  kernel: sha256Hex,
  initrd: sha256Hex,
  system: sha256Hex,
  files: sha256Hex,
  verityRootHash: sha256Hex,
  hashOffset: z.int().min(0),
});

/** Something that ran and is not of the image. The path was chosen by whoever made the file in the guest. */
export const strayFileSchema = z.object({
  path: z.string(),
  /** Absent where its content was not measured. */
  sha256: sha256Hex.optional(),
  /** `changed`: it was changed while it was measured. */
  kind: z.enum(['unknown', 'changed']),
  /** What the image has at this path; absent where it has nothing. */
  expected: z.object({ sha256: sha256Hex, package: z.string().optional() }).optional(),
});
export type StrayFile = z.infer<typeof strayFileSchema>;

/** Of one boot, by the broker. Ages are by its clock at the moment of the answer. */
export const watchReportSchema = z.object({
  mode: watchModeSchema,
  state: watchStateSchema,
  intervalMs: z.int(),
  /** How old it may be, where the policy says so. */
  maxAgeMs: z.int().optional(),
  /** Since the last answer that counts; absent where none came in this boot, or where nobody can say. */
  seenAgoMs: z.int().min(0).optional(),
  /** Since the boot was proven; absent where nobody can say. */
  provenAgoMs: z.int().min(0).optional(),
  /** Why it is not `expected`, as sentences. */
  reasons: z.array(z.string()),
  /** Why the last answer proved nothing, while that is so. */
  trouble: z.string().optional(),
  /** How far the list of what ran was proven. */
  entries: z.int(),
  /** How many of them are not of the image. */
  strays: z.int(),
  /** When an operator has lifted the quarantine; it counts from the next start on. */
  readmittedAt: z.iso.datetime().optional(),
});
export type WatchReport = z.infer<typeof watchReportSchema>;

export const quarantineSchema = z.object({
  since: z.iso.datetime(),
  boot: z.string().regex(BOOT_ID),
  reasons: z.array(z.string()),
});
export type Quarantine = z.infer<typeof quarantineSchema>;

/** What `show` says of a machine that is watched. */
export const watchDetailSchema = z.object({
  mode: watchModeSchema,
  state: watchStateSchema,
  /** Absent where it does not run, or the broker has not said. */
  intervalMs: z.int().optional(),
  /** When the last answer came that counts; absent where none came in this boot. */
  seenAt: z.iso.datetime().optional(),
  entries: z.int(),
  /** The first of them; `strays` says how many there are. */
  files: z.array(strayFileSchema),
  strays: z.int(),
  trouble: z.string().optional(),
  /** Why the last proof that was asked for has nothing of what ran, where it has not. */
  leftOut: z.string().optional(),
});
export type WatchDetail = z.infer<typeof watchDetailSchema>;
