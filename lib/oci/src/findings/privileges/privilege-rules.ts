// Judges what the files of an image let a process do that is not root: programs with privileges, and what it can write that
// root runs. By the entries alone, as a container would see them.
import type { Finding } from '../../inspection/finding.ts';
import type { InspectedImage } from '../../inspection/inspected-image.ts';
import type { ImageFile } from '../../layers/layer-tree.ts';
import { found, type FindingRule } from '../finding-rule.ts';
import { givesRoot, parseFileCapabilities } from './file-capabilities.ts';
import { isUsualCapable, isUsualSetId, runsAnything } from './usual-privileges.ts';

const SET_ID: FindingRule = {
  id: 'set-id-program',
  severity: 'high',
  title: 'a program runs as another account, whoever starts it',
  reason: 'a fault in it is a way from any process of the container to that account, root most often',
  fix: 'RUN chmod a-s PATH, in the instruction that brought it',
  references: ['CWE-250', 'ATT&CK T1548.001', 'CIS Docker 4.8'],
};

const CAPABLE: FindingRule = {
  id: 'capable-program',
  severity: 'medium',
  title: 'a program has capabilities, whoever starts it',
  reason: 'a fault in it is a way from any process of the container to what the capability permits',
  fix: 'RUN setcap -r PATH, in the instruction that brought it; give the capability to the container that needs it',
  references: ['CWE-250', 'ATT&CK T1548'],
};

const WRITABLE_PROGRAM: FindingRule = {
  id: 'writable-program',
  severity: 'high',
  title: 'everybody can change a program',
  reason: 'whoever takes over any process of the container has all others run what they like',
  fix: 'RUN chmod go-w PATH, in the instruction that brought it',
  references: ['CWE-732', 'ATT&CK T1574.010'],
};

const WRITABLE_FOLDER: FindingRule = {
  id: 'writable-program-folder',
  severity: 'high',
  title: 'everybody can put programs into a folder that commands are looked for in',
  reason: 'a program of a usual name that is put there is run by whoever types that name, root among them',
  fix: 'RUN chmod go-w PATH, in the instruction that brought it',
  references: ['CWE-732', 'CWE-426', 'ATT&CK T1574.007'],
};

const WRITABLE_BY_ROOT_RUN: FindingRule = {
  id: 'writable-root-script',
  severity: 'high',
  title: 'what root runs by itself can be changed by others',
  reason: 'it is run as root at the next start, login or full hour, whatever stands in it then',
  fix: 'RUN chown root PATH && chmod go-w PATH, in the instruction that brought it',
  references: ['CWE-732', 'ATT&CK T1053.003', 'ATT&CK T1037'],
};

const READABLE_SHADOW: FindingRule = {
  id: 'readable-password-hashes',
  severity: 'high',
  title: 'every process can read the hashes of passwords',
  reason: 'whoever takes over any process of the container guesses them at leisure',
  fix: 'RUN chmod o-r PATH',
  references: ['CWE-732', 'ATT&CK T1003.008'],
};

const DEVICE: FindingRule = {
  id: 'device-node',
  severity: 'medium',
  title: 'the image holds a device node',
  reason: 'where a container may use devices, the node opens the host’s, past the permissions of the host’s own',
  fix: 'leave it out; give the container the device that it needs at run time',
  references: ['CWE-732', 'ATT&CK T1611'],
};

export const PRIVILEGE_RULES: readonly FindingRule[] = [
  SET_ID,
  CAPABLE,
  WRITABLE_PROGRAM,
  WRITABLE_FOLDER,
  WRITABLE_BY_ROOT_RUN,
  READABLE_SHADOW,
  DEVICE,
];

const [SET_UID_BIT, SET_GID_BIT, STICKY_BIT, WRITE_OTHERS, WRITE_GROUP, READ_OTHERS, EXECUTE] = [
  0o4000, 0o2000, 0o1000, 0o002, 0o020, 0o004, 0o111,
];
/** Of one rule: a whole tree with one wrong bit is clear by then. */
const MAX_FINDINGS_OF_A_RULE = 100;

/** Where a login shell looks for commands. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const RUN_BY_ROOT =
  /^etc\/(?:cron(?:tab|\.(?:d|hourly|daily|weekly|monthly)\/[^/]+)|init\.d\/[^/]+|rc\.local|rc[\dS]?\.d\/[^/]+|profile|profile\.d\/[^/]+|bash\.bashrc|environment|ld\.so\.preload|ld\.so\.conf(?:\.d\/[^/]+)?|sudoers(?:\.d\/[^/]+)?|passwd|shadow|group|pam\.d\/[^/]+|systemd\/system\/.+|inittab|periodic\/[^/]+\/[^/]+|s6-overlay\/.+|services\.d\/.+|cont-init\.d\/[^/]+)$|^var\/spool\/cron\/(?:crontabs\/)?root$|^(?:usr\/)?lib\/systemd\/system\/.+$/;
/** What a root file system has there, made by debootstrap and the like; runtimes put their own over it. */
const USUAL_DEVICES =
  /^dev\/(?:console|full|null|ptmx|random|urandom|tty|tty\d{0,2}|zero|kmsg|fd|ram\d{0,2}|loop\d{0,2}|mem|kmem|port|core|stdin|stdout|stderr)$/;

export function judgePrivileges(image: InspectedImage): readonly Finding[] {
  const folders = new Set(
    pathOf(image)
      .split(':')
      .map((folder) => folder.replaceAll(/^\/+|\/+$/g, '')),
  );
  const started = startedByRoot(image);
  const counts = new Map<string, number>();
  return image.visible
    .flatMap((file) => judgeFile(file, folders, started))
    .filter(({ rule }) => {
      const count = (counts.get(rule) ?? 0) + 1;
      counts.set(rule, count);
      return count <= MAX_FINDINGS_OF_A_RULE;
    });
}

function judgeFile(file: ImageFile, folders: ReadonlySet<string>, started: ReadonlySet<string>): readonly Finding[] {
  const { path, type, mode, uid } = file.entry;
  if (type === 'character-device' || type === 'block-device') return deviceFound(file);
  const writable = (mode & WRITE_OTHERS) !== 0;
  if (type === 'directory') {
    if (!writable || !folders.has(path)) return [];
    const sticky = (mode & STICKY_BIT) === 0 ? '' : ', though nobody can replace what others put there';
    return [tell(WRITABLE_FOLDER, file, `everybody can write to “/${path}”, which is on PATH${sticky}`)];
  }
  if (type !== 'file') return [];
  // Nearly all files have none.
  const isPrivileged = (mode & (SET_UID_BIT | SET_GID_BIT)) !== 0 || file.entry.attributes.size > 0;
  const findings = isPrivileged ? [...privilegesFound(file)] : [];
  const runByRoot = RUN_BY_ROOT.test(path) || started.has(path);
  if (runByRoot && (writable || uid !== 0 || (file.entry.gid !== 0 && (mode & WRITE_GROUP) !== 0))) {
    const who = writable ? 'everybody' : uid === 0 ? `group ${String(file.entry.gid)}` : `uid ${String(uid)}`;
    findings.push(tell(WRITABLE_BY_ROOT_RUN, file, `${who} can change “/${path}”, which root runs or trusts`));
  } else if (writable && ((mode & EXECUTE) !== 0 || /\.so(?:\.|$)/.test(path))) {
    findings.push(tell(WRITABLE_PROGRAM, file, `everybody can change the program “/${path}”`));
  }
  if (/^etc\/g?shadow-?$/.test(path) && (mode & READ_OTHERS) !== 0)
    findings.push(tell(READABLE_SHADOW, file, `every process can read “/${path}”`));
  return findings;
}

function* privilegesFound(file: ImageFile): Iterable<Finding> {
  const { path, mode, uid, gid, attributes } = file.entry;
  const [setUid, setGid] = [(mode & SET_UID_BIT) !== 0, (mode & SET_GID_BIT) !== 0 && (mode & EXECUTE) !== 0];
  if ((setUid || setGid) && !isUsualSetId(path)) {
    const owner = setUid ? (uid === 0 ? 'root' : `uid ${String(uid)}`) : `group ${String(gid)}`;
    const anything = setUid && uid === 0 && runsAnything(path);
    yield tell(
      SET_ID,
      file,
      `“/${path}” runs as ${owner}, whoever starts it${anything ? ', and it runs any command' : '; no distribution ships it so'}`,
      anything ? 'critical' : setUid && uid === 0 ? 'high' : 'medium',
    );
  }
  const attribute = attributes.get('security.capability');
  const capabilities = attribute === undefined ? [] : parseFileCapabilities(attribute);
  if (capabilities === undefined) {
    yield tell(CAPABLE, file, `“/${path}” has capabilities of a kind that cannot be read`);
  } else if (capabilities.length > 0 && !isUsualCapable(path, capabilities)) {
    const root = capabilities.filter((each) => givesRoot(each));
    const severity = root.length === 0 ? 'medium' : runsAnything(path) ? 'critical' : 'high';
    yield tell(CAPABLE, file, `“/${path}” has ${capabilities.join(', ')}`, severity);
  }
}

function deviceFound(file: ImageFile): readonly Finding[] {
  const { path, type } = file.entry;
  // A character device may be the whiteout of an overlay that was packed as it lay; a block device never is.
  if (USUAL_DEVICES.test(path) && type === 'character-device') return [];
  const kind = type === 'block-device' ? 'a block device: a disk of the host' : 'a character device';
  return [tell(DEVICE, file, `“/${path}” is ${kind}`, type === 'block-device' ? 'high' : 'medium')];
}

function tell(rule: FindingRule, file: ImageFile, message: string, severity = rule.severity): Finding {
  const path = `/${file.entry.path}`;
  return found(rule, message, { ...file, path: file.entry.path }, { severity, fix: rule.fix.replaceAll('PATH', path) });
}

function pathOf({ config }: InspectedImage): string {
  return config.env.findLast((setting) => setting.startsWith('PATH='))?.slice('PATH='.length) ?? DEFAULT_PATH;
}

/** What the container starts, where it starts as root. */
function startedByRoot({ config }: InspectedImage): ReadonlySet<string> {
  if (!/^(?:root|0)?(?::.*)?$/.test(config.user)) return new Set();
  const paths = [config.entrypoint, config.cmd].map(([first = '']) => first).filter((first) => first.startsWith('/'));
  return new Set(paths.map((path) => path.slice(1)));
}
