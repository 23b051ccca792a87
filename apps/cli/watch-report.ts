// The watch of a machine as people read it: how it is watched, when it was seen, and what ran that is not of its image.
import type { MachineDetail, StrayFile, WatchDetail } from '@ringwall/api';
import { formatAge } from './quantities.ts';
import { bullet } from './bullet.ts';
import type { ReportContext } from './report.ts';
import { plainText } from './terminal.ts';

/** As on a line of `show`: enough to tell two files apart. */
const SHOWN_DIGEST_CHARACTERS = 16;
/** Of what ran; `--json` has them all. */
const SHOWN_FILES = 8;

const MODES: Readonly<Record<WatchDetail['mode'], string>> = {
  enforce: 'what is not of its image quarantines it',
  pause: 'what is not of its image quarantines it, and stops its processors',
  report: 'what is not of its image is told, and no more',
  off: 'nobody looks',
};

export function renderWatch({ watch, machine }: MachineDetail, { terminal, nowMs }: ReportContext): string[] {
  if (watch === undefined) return [];
  const { mode, intervalMs, seenAt, files, trouble, leftOut } = watch;
  const seen = seenAt === undefined ? 'not since it was proven' : `${formatAge(seenAt, nowMs)} ago`;
  const asked = intervalMs === undefined ? '' : `, asked every ${String(Math.round(intervalMs / 1000))} s`;
  const { readmittedAt } = machine.status.watch ?? {};
  const facts: [string, string][] = [
    ['mode', `${mode}: ${MODES[mode]}`],
    ['seen', `${seen}${asked}`],
    ['ran', whatRan(watch)],
    ...(trouble === undefined ? [] : [['trouble', plainText(trouble)] as [string, string]]),
    ...(leftOut === undefined ? [] : [['proof', `has nothing of what ran: ${plainText(leftOut)}`] as [string, string]]),
    ...(readmittedAt === undefined
      ? []
      : [['lifted', `${formatAge(readmittedAt, nowMs)} ago: its next start gets its key`] as [string, string]]),
  ];
  const sign = mode === 'report' ? terminal.bang : terminal.cross;
  return [
    '',
    terminal.paint('bold', 'Watch'),
    ...facts.map(([name, value]) => `  ${terminal.paint('dim', name.padEnd(8))}  ${value}`),
    ...files.slice(0, SHOWN_FILES).flatMap((file) => bullet(terminal, sign, describeFile(file))),
    ...(watch.strays > SHOWN_FILES ? [`  ${sign} and ${String(watch.strays - SHOWN_FILES)} more`] : []),
  ];
}

function whatRan({ entries, strays }: WatchDetail): string {
  if (entries === 0) return 'nothing is known of it yet';
  const ran = `${String(entries)} files`;
  return strays === 0 ? `${ran}, all of its image` : `${ran}, ${String(strays)} not of its image`;
}

function describeFile({ path, sha256, kind, expected }: StrayFile): string {
  if (kind === 'changed') return `${path} was changed while it was measured`;
  const digest = sha256 === undefined ? 'without a SHA-256' : `SHA-256 ${shorten(sha256)}`;
  if (expected === undefined) return `${path} (${digest}), which its image does not have`;
  const from = expected.package === undefined ? 'its image' : expected.package;
  return `${path} (${digest}), which ${from} has as ${shorten(expected.sha256)}`;
}

function shorten(sha256: string): string {
  return `${sha256.slice(0, SHOWN_DIGEST_CHARACTERS)}…`;
}
