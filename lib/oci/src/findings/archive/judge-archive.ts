// Rule: entries of a layer that are traps for whatever unpacks it: paths and links that leave the root, devices of the host.
// CWE-22 and CWE-59. Runtimes of today refuse or confine most of it; scripts that unpack an image themselves do not.
import type { Finding, FindingSeverity } from '../../inspection/finding.ts';
import type { InspectedImage } from '../../inspection/inspected-image.ts';
import type { ImageFile } from '../../layers/layer-tree.ts';
import type { EntryType, Hazard } from '../../layers/tar-entry.ts';

/** More say nothing new; the last one counts the others. */
const MAX_FINDINGS_OF_A_RULE = 100;
/** Debian's and Red Hat's own tools put them into roots; a runtime mounts its own over them. */
const USUAL_DEVICES = /^dev\/(?:console|full|null|ptmx|random|tty\d{0,2}|urandom|zero)$/;
const FIX = 'build the layer anew without it, and ask where it came from';

/** Of most files: an array for each would be garbage. */
const NONE: readonly Finding[] = [];

type Trap = Pick<Finding, 'rule' | 'severity' | 'message' | 'references' | 'subject'>;

const TRAPS: Readonly<Record<Hazard, (type: EntryType, target: string) => Trap>> = {
  outside: () => ({
    rule: 'archive-path-outside',
    severity: 'critical',
    message: 'the path of an entry leaves the root of the image: unpacked carelessly, it writes to the host',
    references: ['CWE-22'],
    subject: '',
  }),
  'link-outside': (type, target) => ({
    rule: 'archive-link-outside',
    // A symbolic link is resolved inside of the container; a hard link is made by whoever unpacks.
    severity: type === 'hardlink' ? 'high' : 'low',
    message: `a ${type === 'hardlink' ? 'hard' : 'symbolic'} link to “${target}” leaves the root of the image`,
    references: ['CWE-59'],
    subject: target,
  }),
  device: (type) => ({
    rule: 'archive-device',
    severity: type === 'block-device' ? 'medium' : 'info',
    message: `a ${type === 'block-device' ? 'block' : 'character'} device: who may open it talks to the host's hardware`,
    references: ['CWE-732'],
    subject: type,
  }),
};

export function judgeArchive({ visible, hidden }: InspectedImage): readonly Finding[] {
  const files = [...visible, ...hidden];
  return bounded([...files.flatMap(trapsOf), ...throughLinks(files)]);
}

function trapsOf(file: ImageFile): readonly Finding[] {
  if (file.entry.hazards.length === 0) return NONE;
  if (file.entry.type === 'character-device' && USUAL_DEVICES.test(file.entry.path)) return [];
  return file.entry.hazards.map((hazard) => findingOf(file, TRAPS[hazard](file.entry.type, file.entry.target)));
}

/** What lies below a link that an unpacking program follows to its own host: the oldest way out of an archive. */
function throughLinks(files: readonly ImageFile[]): readonly Finding[] {
  const leaving = new Map(
    files
      .filter(
        ({ entry: { type, target, hazards } }) =>
          type === 'symlink' && (target.startsWith('/') || hazards.includes('link-outside')),
      )
      .map((file) => [file.entry.path, file]),
  );
  if (leaving.size === 0) return [];
  // Files of a folder follow each other.
  let folder = '';
  let linkOfFolder: ImageFile | undefined;
  return files.flatMap((file) => {
    const { type, path, target } = file.entry;
    const slash = path.lastIndexOf('/') + 1;
    if (slash !== folder.length || !path.startsWith(folder)) {
      folder = path.slice(0, slash);
      linkOfFolder = linkAbove(folder, leaving);
    }
    // A hard link names a file of the archive, and is made through whatever lies on the way.
    const link = linkOfFolder ?? (type === 'hardlink' ? linkAbove(target, leaving) : undefined);
    if (link === undefined || link.layer > file.layer) return NONE;
    return [
      findingOf(file, {
        rule: 'archive-through-link',
        severity: severityOf(link, file),
        message: `it lies below “${link.entry.path}”, a link to “${link.entry.target}”: unpacked carelessly, it is written there, on the host`,
        references: ['CWE-59'],
        subject: link.entry.path,
      }),
    ];
  });
}

/** Builders that add files to a foreign base do so in honesty: `var/run/x`, where the base has `var/run` → `/run`. */
function severityOf(link: ImageFile, file: ImageFile): FindingSeverity {
  return link.layer === file.layer ? 'critical' : 'medium';
}

function linkAbove(path: string, links: ReadonlyMap<string, ImageFile>): ImageFile | undefined {
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
    const link = links.get(path.slice(0, slash));
    if (link !== undefined) return link;
  }
  return undefined;
}

function findingOf({ entry, layer, hiddenBy }: ImageFile, trap: Trap): Finding {
  return { ...trap, fix: FIX, path: entry.path, layer, hiddenBy };
}

function bounded(findings: readonly Finding[]): readonly Finding[] {
  const byRule = Map.groupBy(findings, ({ rule }) => rule);
  return [...byRule.values()].flatMap((all) => {
    const shown = all.slice(0, MAX_FINDINGS_OF_A_RULE);
    const last = shown.at(-1);
    const more = all.length - shown.length;
    return last === undefined || more === 0
      ? shown
      : [...shown.slice(0, -1), { ...last, message: `${last.message}; and ${more} more such entries` }];
  });
}
