// Drill: a layer that writes outside of where it is unpacked: a link that leads out, and a file below it.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Attempt, Drill } from '../drill.ts';
import { newCanary } from '../victim.ts';

const PYTHON = '/usr/bin/python3';

/** An image as `docker save` writes it: argv is the archive, the folder outside, and the canary. */
const MAKE_IMAGE = `
import hashlib, io, json, sys, tarfile
archive, outside, canary = sys.argv[1:4]
def entry(name, data=None, link=None):
    info = tarfile.TarInfo(name)
    if link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, link
        return info, None
    info.size = len(data)
    return info, io.BytesIO(data)
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode='w') as tar:
    tar.addfile(*entry('etc/hostname', b'honest\\n'))
    tar.addfile(*entry('data', link=outside))
    tar.addfile(*entry('data/canary', canary.encode()))
diff = 'sha256:' + hashlib.sha256(layer.getvalue()).hexdigest()
config = json.dumps({'os': 'linux', 'architecture': 'amd64', 'rootfs': {'type': 'layers', 'diff_ids': [diff]}}).encode()
manifest = json.dumps([{'Config': 'config.json', 'RepoTags': ['trap:1'], 'Layers': ['layer.tar']}]).encode()
with tarfile.open(archive, 'w') as tar:
    for name, data in (('manifest.json', manifest), ('config.json', config), ('layer.tar', layer.getvalue())):
        tar.addfile(*entry(name, data))
`;

/** What every script that unpacks a layer does: argv is the archive and the folder. The filter is that of Python before 3.14. */
const UNPACK = `
import sys, tarfile
tarfile.TarFile.extraction_filter = staticmethod(lambda member, path: member)
with tarfile.open(sys.argv[1]) as outer, tarfile.open(fileobj=outer.extractfile('layer.tar')) as layer:
    layer.extractall(sys.argv[2])
`;

interface Trap {
  readonly archive: string;
  readonly outside: string;
  readonly canary: string;
}

export const tarEscape: Drill = {
  name: 'tar-escape',
  title: 'A layer writes to the host while it is unpacked',
  adversaries: ['A7'],
  story:
    'A layer brings a link to a folder of the host, and then a file below that link. Whoever unpacks it to look inside follows the ' +
    'link, and writes the file to the host.',
  needsVictim: 'no',
  mustBeTrue: 'Somebody, or a scanner for him, unpacks the image to look into it.',
  stoppedBy: 'Layers are read and never unpacked; what leads out of them is a finding, and the image is refused.',

  without({ directory, step }) {
    const trap = makeTrap(directory);
    const root = join(directory, 'unpacked');
    mkdirSync(root);
    step('Python unpacks the layer into a folder of its own');
    execFileSync(PYTHON, ['-c', UNPACK, trap.archive, root]);
    return Promise.resolve([written(trap)]);
  },

  async with({ directory, ringwall, step }) {
    const trap = makeTrap(directory);
    step('ringwall image scan looks into it');
    const { code, stdout, stderr } = await ringwall.cli(
      'image',
      'scan',
      trap.archive,
      '--platform',
      'linux/amd64',
      '--no-cache',
      '--json',
    );
    const isNamed = stdout.includes('archive-through-link') && stdout.includes('data/canary');
    if (code !== 0 && !isNamed) throw new Error(`the scan failed on something else: ${stderr}${stdout}`.slice(0, 500));
    const passes: Attempt = {
      what: 'let the image pass a scan',
      succeeded: code === 0,
      seen: code === 0 ? 'it passed' : `refused (exit ${code}): archive-through-link at data/canary`,
    };
    return [written(trap), passes];
  },
};

function makeTrap(directory: string): Trap {
  const trap = { archive: join(directory, 'trap.tar'), outside: join(directory, 'outside'), canary: newCanary() };
  rmSync(trap.outside, { recursive: true, force: true });
  mkdirSync(trap.outside);
  execFileSync(PYTHON, ['-c', MAKE_IMAGE, trap.archive, trap.outside, trap.canary]);
  return trap;
}

function written({ outside, canary }: Trap): Attempt {
  const file = join(outside, 'canary');
  const succeeded = existsSync(file) && readFileSync(file, 'utf8') === canary;
  return {
    what: 'write a file outside of the folder that is unpacked to',
    succeeded,
    seen: succeeded ? 'the canary, outside' : 'nothing outside',
  };
}
