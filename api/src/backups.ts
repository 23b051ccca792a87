// When snapshots of a machine are taken by themselves, and which of those are kept.
import { z } from 'zod';

/** More often, and a machine does little else; less often than a month is nobody's plan. */
export const BACKUP_EVERY_MINUTES = { min: 15, max: 31 * 24 * 60 } as const;
/** Of one kind: years of days. */
const MOST_KEPT = 1000;

const count = z.int().min(0).max(MOST_KEPT).optional();

/** How many are kept: the newest ones, and the newest of so many hours, days, weeks and months (UTC, weeks from Monday). */
export const retentionSchema = z.strictObject({
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
});
export type Retention = z.infer<typeof retentionSchema>;

export const backupPlanSchema = z.strictObject({
  everyMinutes: z.int().min(BACKUP_EVERY_MINUTES.min).max(BACKUP_EVERY_MINUTES.max),
  keep: retentionSchema,
});
export type BackupPlan = z.infer<typeof backupPlanSchema>;

/** `plan`: null where none shall be taken any more; those that were taken stay. */
export const planBackupsSchema = z.strictObject({ plan: backupPlanSchema.nullable() });
