// `ringwall disk inspect`: what a thief of this image would have, for people and as a document.
import {
  inspectVolume,
  scoreOf,
  type ExposureFind,
  type ExposureRule,
  type ExposureScore,
  type FilesReport,
  type ImageSnapshot,
  type VolumeContents,
} from '@ringwall/disk';
import { formatBytes } from '../quantities.ts';
import { wrapText, type Terminal } from '../terminal.ts';
import { shownName } from './file-names.ts';
import { describeContents, type OpenTarget } from './open-target.ts';

/** Of one kind of find; `--all` shows the others. */
const SHOWN_PATHS = 3;

export interface VolumeReport {
  readonly name: string;
  readonly place: string;
  readonly bytes: number;
  readonly holds: string;
  readonly label: string;
  readonly notes: readonly string[];
  readonly files: FilesReport | undefined;
  readonly finds: readonly ExposureFind[];
  /** It holds something that nothing here reads, and that is not known to be encrypted. */
  readonly unread: boolean;
  /** Seen with the key that was given; not counted. */
  readonly underKey: boolean;
}

export interface DiskReport {
  readonly path: string;
  readonly format: string;
  readonly fileBytes: number;
  readonly diskBytes: number;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  readonly alongside: readonly string[];
  readonly snapshots: readonly ImageSnapshot[];
  readonly table: string | undefined;
  readonly notes: readonly string[];
  readonly volumes: readonly VolumeReport[];
  readonly score: ExposureScore;
}

export function inspectTarget({ path, fileBytes, image, disk, alongside }: OpenTarget): DiskReport {
  const volumes = disk.volumes.map((volume): VolumeReport => {
    const { name, place, size, contents } = volume;
    const { files, finds, unread } = inspectVolume(volume);
    return {
      name,
      place,
      bytes: size,
      holds: describeContents(volume),
      ...describeInside(contents),
      files,
      finds,
      unread,
      underKey: volume.underKey === true,
    };
  });
  return {
    path,
    format: image.format,
    fileBytes,
    diskBytes: image.virtualSize,
    facts: image.facts,
    alongside,
    snapshots: image.snapshots,
    table: disk.table?.scheme,
    notes: disk.notes,
    volumes,
    // A thief has the disk alone.
    score: scoreOf(volumes.flatMap(({ finds, underKey }) => (underKey ? [] : finds))),
  };
}

function describeInside(contents: VolumeContents): Pick<VolumeReport, 'label' | 'notes'> {
  if (contents.kind === 'damaged') return { label: '', notes: [contents.message] };
  if (contents.kind === 'recognised') return { label: contents.recognised.label, notes: [] };
  if (contents.kind !== 'file-system') return { label: '', notes: [] };
  return { label: contents.fileSystem.label, notes: contents.fileSystem.notes ?? [] };
}

export function renderDiskReport(report: DiskReport, terminal: Terminal, all: boolean): string[] {
  const { path, format, diskBytes, fileBytes, score, snapshots } = report;
  const unread = report.volumes.filter((volume) => volume.unread && !volume.underKey);
  const isClear = score.points === 0 && unread.length === 0;
  const sign = isClear ? terminal.tick : score.points < 25 ? terminal.bang : terminal.cross;
  const grade = score.points === 0 && !isClear ? 'nothing that could be read' : score.grade;
  const memory = snapshots.filter(({ vmStateBytes }) => vmStateBytes > 0);
  return [
    `${terminal.paint('bold', shownName(path))}  ${format}, a disk of ${formatBytes(diskBytes)} in ${formatBytes(fileBytes)}`,
    ...renderFacts(report, terminal),
    ...report.notes.map((note) => `  ${terminal.bang} ${shownName(note)}`),
    '',
    `${sign} What a thief would have: ${terminal.paint('bold', grade)} (${String(score.points)} of 100)`,
    ...(unread.length === 0
      ? []
      : wrapText(
          `not counted, because it could not be read: volume ${unread.map(({ name }) => shownName(name)).join(', ')}`,
          terminal.textColumns,
          2,
        )),
    ...(memory.length === 0
      ? []
      : [
          `  ${terminal.cross} the memory of a running machine, in clear, in ${String(memory.length)} of its snapshots`,
        ]),
    ...report.volumes.flatMap((volume) => renderVolume(volume, terminal, all)),
  ];
}

function renderFacts({ facts, alongside, snapshots }: DiskReport, terminal: Terminal): string[] {
  const told = Object.entries(facts).map(([name, value]) => `${name} ${shownName(String(value))}`);
  const lines = [
    ...(told.length === 0 ? [] : [told.join(', ')]),
    ...(snapshots.length === 0 ? [] : [`snapshots: ${snapshots.map(({ name }) => shownName(name)).join(', ')}`]),
    ...(alongside.length === 0 ? [] : [`read along: ${alongside.map(shownName).join(', ')}`]),
  ];
  return lines.flatMap((line) => wrapText(line, terminal.textColumns, 2)).map((line) => terminal.paint('dim', line));
}

function renderVolume(volume: VolumeReport, terminal: Terminal, all: boolean): string[] {
  const { name, place, bytes, holds, label, notes, files, finds, underKey } = volume;
  const title = `${terminal.paint('bold', `Volume ${name}`)}  ${shownName(place)}, ${formatBytes(bytes)}, ${holds}${
    label === '' ? '' : ` “${shownName(label)}”`
  }`;
  const locked = underKey
    ? [`  ${terminal.tick} seen with the key that you gave: a thief without it sees nothing of this`]
    : [];
  const told = notes.flatMap((note) => wrapText(shownName(note), terminal.textColumns, 2));
  return [
    '',
    title,
    ...locked,
    ...told,
    ...(files === undefined ? [] : renderSystem(files, terminal)),
    ...(files === undefined && finds.length === 0 ? [] : renderFinds(finds, files?.more ?? new Map(), terminal, all)),
    ...(files === undefined ? [] : renderLimits(files, terminal)),
  ];
}

function renderSystem({ system, accounts, files, directories }: FilesReport, terminal: Terminal): string[] {
  const counted = `${String(files)} files in ${String(directories)} directories`;
  const host = system?.hostname === undefined ? '' : `, called ${shownName(system.hostname)}`;
  const people = accounts.filter(({ canLogIn }) => canLogIn);
  const list = people.map(({ name, password }) =>
    password === undefined ? shownName(name) : `${shownName(name)} (${password.name})`,
  );
  return [
    `  ${system === undefined ? counted : `${shownName(system.name)}${host}; ${counted}`}`,
    ...(people.length === 0 ? [] : wrapText(`may log in: ${list.join(', ')}`, terminal.textColumns, 2)),
  ];
}

function renderFinds(
  finds: readonly ExposureFind[],
  more: ReadonlyMap<string, number>,
  terminal: Terminal,
  all: boolean,
): string[] {
  const byRule = new Map<ExposureRule, ExposureFind[]>();
  for (const find of finds) byRule.set(find.rule, [...(byRule.get(find.rule) ?? []), find]);
  const worthOf = (list: readonly ExposureFind[]): number => Math.max(...list.map(({ worth }) => worth));
  const sorted = [...byRule].toSorted(([, a], [, b]) => worthOf(b) - worthOf(a));
  if (sorted.length === 0) return [`  ${terminal.tick} nothing that a thief looks for`];
  return sorted.flatMap(([rule, list]) => {
    const sign = worthOf(list) < 25 ? terminal.bang : terminal.cross;
    const shown = all ? list : list.slice(0, SHOWN_PATHS);
    const hidden = list.length - shown.length + (more.get(rule.id) ?? 0);
    return [
      `  ${sign} ${terminal.paint('bold', rule.title)}`,
      ...shown.map(
        ({ path, detail, deleted }) =>
          `      ${path === '' ? 'all of it' : shownName(path)}${deleted ? ' (deleted)' : ''}${detail === '' ? '' : terminal.paint('dim', `  ${shownName(detail)}`)}`,
      ),
      ...(hidden > 0 ? [terminal.paint('dim', `      and ${String(hidden)} more`)] : []),
      ...wrapText(rule.reason, terminal.textColumns, 6),
      ...(all ? [terminal.paint('dim', `      ${rule.id}: ${rule.references.join(', ')}`)] : []),
    ];
  });
}

function renderLimits({ damages, incomplete }: FilesReport, terminal: Terminal): string[] {
  return [
    ...damages
      .slice(0, SHOWN_PATHS)
      .map(({ path, message }) => `  ${terminal.bang} ${shownName(path)} cannot be read: ${shownName(message)}`),
    ...(damages.length > SHOWN_PATHS
      ? [`  ${terminal.bang} and ${String(damages.length - SHOWN_PATHS)} more that cannot be read`]
      : []),
    ...(incomplete ? [`  ${terminal.bang} it is larger than what is looked at: there is more`] : []),
  ];
}

/** For programs: rules by their id. */
export function documentOf(report: DiskReport): unknown {
  return {
    ...report,
    volumes: report.volumes.map(({ files, finds, ...volume }) => ({
      ...volume,
      ...files,
      ...(files === undefined ? {} : { more: Object.fromEntries(files.more) }),
      finds: finds.map(({ rule: { id, category, title, reason, references }, ...find }) => ({
        rule: id,
        category,
        title,
        reason,
        references,
        ...find,
      })),
    })),
  };
}
