// What is looked into before it runs, disk images and container images: their commands, as data.
import type { Command } from '../command.ts';

export const DISK_AND_IMAGE_COMMANDS: readonly Command[] = [
  {
    name: 'disk',
    group: 'Disks',
    summary: 'look into a disk image: what would a thief have? import: make it an encrypted disk',
    description:
      'Reads images, partitions and file systems with parsers of its own, so that no kernel and no other program meets ' +
      'hostile bytes; needs no right but to read the file. Files that an image names are read only where they lie beside it ' +
      'under a plain name. No report holds a part of a secret. `machine:NAME` in the place of an image is the disk of a machine ' +
      'of this host, as it lies there: encrypted. `import` makes an encrypted disk of this host from an image: ' +
      'what the image asks for beyond its own bytes is refused, and the disk is read back and compared. Where it was broken ' +
      'off, the same command goes on. An image that is encrypted as a whole needs its key (`--key-file`, or typed). `rm` destroys the key of such a disk, then removes it.',
    forms: [
      'disk inspect IMAGE',
      'disk ls IMAGE [PATH]',
      'disk cat IMAGE PATH',
      'disk extract IMAGE [PATH] -o DIRECTORY',
      'disk diff IMAGE IMAGE [PATH]',
      'disk import IMAGE [--name NAME]',
      'disk rm NAME...',
    ],
    arguments: [
      { name: 'ACTION', complete: ['inspect', 'ls', 'cat', 'extract', 'diff', 'import', 'rm'] },
      { name: 'IMAGE', optional: true, complete: 'file' },
      { name: 'PATH', optional: true, many: true, complete: 'file' },
    ],
    options: [
      { name: 'volume', value: 'N', complete: 'none', summary: 'which of several file systems; inspect lists them' },
      { name: 'disk', value: 'N', complete: 'none', summary: 'which disk of an appliance’s archive (OVA)' },
      {
        name: 'key-file',
        value: 'FILE',
        complete: 'file',
        summary: 'holds a passphrase of LUKS, to look inside, too; - is standard input',
      },
      { name: 'all', short: 'a', summary: 'of inspect: every find, and the references of its rule' },
      { name: 'output', short: 'o', value: 'DIRECTORY', complete: 'file', summary: 'of extract: a new directory' },
      {
        name: 'name',
        value: 'NAME',
        complete: 'none',
        summary: 'of import: what the disk is called; else after its file',
      },
      { name: 'alongside', summary: 'of import: also read the files beside the image that it names' },
      {
        name: 'keep-encrypted',
        summary: 'of import: a disk that is LUKS as a whole stays so, for a system that opens it itself',
      },
    ],
    examples: [
      { line: 'disk inspect stolen.qcow2', says: 'keys, passwords, tokens, histories, databases, and a score' },
      { line: 'disk ls stolen.qcow2 /etc', says: 'without a mount' },
      { line: 'disk cat stolen.qcow2 /etc/hostname', says: 'one file' },
      { line: 'disk extract stolen.qcow2 /var/log -o log', says: 'links that lead out, and devices, are left out' },
      { line: 'disk diff before.qcow2 after.qcow2 /etc', says: 'what changed, file by file' },
      { line: 'disk inspect machine:web', says: 'what whoever takes the disk of this machine has of it' },
      {
        line: 'disk import cloud.qcow2 --name web',
        says: 'any format becomes an encrypted disk, read back and compared',
      },
      {
        line: 'disk import laptop.img --key-file pass',
        says: 'LUKS is opened, and what is inside gets a key of this host',
      },
      { line: 'disk rm web', says: 'its key is destroyed: no copy of it can be read again' },
    ],
    exits: ['notFound', 'hostLacks', 'unavailable', 'conflict'],
    load: () => import('../commands/disk.ts'),
  },
  {
    name: 'disks',
    group: 'Disks',
    summary: 'list the disks that were imported',
    examples: [{ line: 'disks', says: 'their sizes, what they were made from, and which machine has them' }],
    exits: ['hostLacks', 'unavailable'],
    load: () => import('../commands/disks.ts'),
  },
  {
    name: 'image',
    group: 'Containers',
    summary: 'judge a container image before it runs: its name, its Dockerfile, or what is in it',
    description:
      'Without a service, and offline but for `pull` and for `scan` of a name. `judge` says whether a name looks like a trap: typos, foreign letters, moved borders, ' +
      'claims to be official. `scan` looks into an image and unpacks it nowhere: an OCI layout, what docker save, podman ' +
      'save or skopeo wrote, the root of a system as a folder or a tar; and judges a Dockerfile by hadolint’s rules, the CIS Docker Benchmark ' +
      'and our own. What is known of a layer is kept by its digest, so that a base is read once. `remember` puts an ' +
      'image into the catalogue by which ancestors of others are told. `pull` writes an image as an OCI ' +
      'layout; its name is judged first, and where that looks like a trap nobody is asked for it. `sbom` writes what is ' +
      'installed; known vulnerabilities are told by what `advisories` brought to this host. `tree` judges all images of a registry: ' +
      'what is built on what, and which few ancestors to update first. Exit code 4: refused.',
    forms: [
      'image judge NAME|LAYOUT',
      'image scan DOCKERFILE',
      'image scan ARCHIVE|LAYOUT|FOLDER|NAME|SBOM',
      'image sbom ARCHIVE|LAYOUT|FOLDER|NAME',
      'image remember ARCHIVE|LAYOUT|NAME --name NAME',
      'image pull NAME -o DIRECTORY',
      'image tree REGISTRY|LAYOUT...',
    ],
    arguments: [
      { name: 'ACTION', complete: ['judge', 'scan', 'remember', 'sbom', 'pull', 'tree'] },
      { name: 'SUBJECT', optional: true, many: true, complete: 'file' },
    ],
    options: [
      {
        name: 'fail-on',
        value: 'SEVERITY',
        complete: ['critical', 'high', 'medium', 'low', 'info', 'never', 'error', 'warning', 'style'],
        summary: 'of scan; "high" where none is named, of a Dockerfile "error"',
      },
      {
        name: 'format',
        value: 'FORMAT',
        complete: ['text', 'json', 'sarif', 'html', 'junit', 'cyclonedx', 'spdx', 'licences'],
        summary: 'of the report; of sbom cyclonedx, else spdx or licences; of tree text, json, html',
      },
      {
        name: 'ignore',
        value: 'FILE',
        complete: 'file',
        summary: 'findings that somebody answers for, each with a reason and a last day',
      },
      {
        name: 'advisories',
        value: 'FILE',
        complete: 'file',
        summary: 'what packages are judged by; else what `advisories` brought to this host',
      },
      {
        name: 'vex',
        value: 'FILE',
        complete: 'file',
        summary: 'what does not matter in it, by whom you believe: OpenVEX, CSAF, CycloneDX',
      },
      { name: 'all', short: 'a', summary: 'show every finding' },
      { name: 'image', value: 'NAME', complete: 'none', summary: 'which one, where an archive holds several' },
      {
        name: 'platform',
        value: 'OS/ARCH',
        complete: 'none',
        summary: 'which one, as in linux/arm64; else that of this host',
      },
      {
        name: 'output',
        short: 'o',
        value: 'DIRECTORY',
        complete: 'file',
        summary: 'of pull: where the layout is written; of sbom: a file in place of the terminal',
      },
      {
        name: 'confirm',
        value: 'NAME',
        complete: 'none',
        summary: 'the whole name again, where one was asked about',
      },
      { name: 'name', value: 'NAME', complete: 'none', summary: 'of remember: what it is called' },
      { name: 'mirror', value: 'HOST', complete: 'none', summary: 'asked before the registry; several by commas' },
      { name: 'plain-http', value: 'HOST', complete: 'none', summary: 'is asked without TLS, as this machine is' },
      {
        name: 'yara',
        value: 'FILE',
        complete: 'file',
        summary: 'further rules, for YARA to look at programs, scripts and archives with',
      },
      { name: 'no-scanners', summary: 'do without YARA and ClamAV: a first scan takes less time' },
      { name: 'no-cache', summary: 'read all layers anew, and keep nothing of them' },
      {
        name: 'allow',
        value: 'FILE',
        complete: 'file',
        summary: 'names that are let in, one a line, as in ghcr.io/acme/*',
      },
      { name: 'history', value: 'FILE', complete: 'file', summary: 'names that you have run, one a line' },
      {
        name: 'as',
        value: 'NAME',
        complete: 'none',
        summary: 'with --signatures: what a layout is called, in place of what it says itself',
      },
      {
        name: 'signatures',
        value: 'FILE',
        complete: 'file',
        summary: 'a policy: who must have signed which images; the others are refused',
      },
    ],
    examples: [
      { line: 'image judge ngnix', says: 'block: two letters of nginx are swapped' },
      { line: 'image scan Dockerfile', says: 'what is wrong, in which line, and the smallest change' },
      { line: 'image scan app.tar', says: 'what is in it, in which layer, and who wrote that' },
      {
        line: 'image remember debian.tar --name debian:12.8',
        says: 'its findings are then told from those of your own layers',
      },
      { line: 'image pull debian:12 -o debian', says: 'an OCI layout, each digest checked' },
      {
        line: 'image pull ghcr.io/acme/app:1 -o app --signatures policy.json',
        says: 'only where it is signed by whom you name',
      },
      { line: 'image scan app --signatures policy.json', says: 'the same of the copy, by the signatures in it' },
      { line: 'image scan app.tar --format sarif --fail-on medium', says: 'for a build' },
      { line: 'image tree localhost:5000', says: 'what is built on what, and what to update first' },
      { line: 'image sbom app.tar --format spdx -o app.spdx.json', says: 'what is installed, for other tools' },
    ],
    exits: ['notFound', 'refused'],
    load: () => import('../commands/image.ts'),
  },
  {
    name: 'advisories',
    group: 'Containers',
    summary: 'what is known of vulnerabilities: bring it here, ship it to machines without a network',
    description:
      'One file holds what images are judged by. `update` reads feeds as their publishers dump them: OSV (zip, folder or ' +
      'lines), the Debian security tracker, Alpine’s and Wolfi’s secdb, Red Hat’s CSAF, CISA’s KEV, EPSS. `export` signs it, whole or what ' +
      'changed since a number; `import` takes only what the key that you name has signed. Nothing is fetched that was not named.',
    forms: [
      'advisories [info]',
      'advisories update FILE|FOLDER|URL...',
      'advisories export -o FILE --key KEY',
      'advisories import FILE --key KEY',
    ],
    arguments: [
      { name: 'ACTION', optional: true, complete: ['info', 'update', 'export', 'import'] },
      { name: 'FILE', optional: true, many: true, complete: 'file' },
    ],
    options: [
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'of export: where to' },
      {
        name: 'key',
        value: 'FILE',
        complete: 'file',
        summary: 'Ed25519 in PEM: yours to export, that of whom you trust to import',
      },
      { name: 'since', value: 'N', complete: 'none', summary: 'of export: only what changed after this number' },
      { name: 'shrink', summary: 'of update: also where most of a feed is gone' },
      { name: 'advisories', value: 'FILE', complete: 'file', summary: 'the file; else the one of this host' },
    ],
    examples: [
      {
        line: 'advisories update debian.json osv-npm.zip known_exploited_vulnerabilities.json',
        says: 'in files that you have',
      },
      { line: 'advisories', says: 'which feeds there are, how old, and for what' },
      { line: 'advisories export -o all.rwa --key our.key', says: 'for machines without a network' },
      { line: 'advisories export -o new.rwa --key our.key --since 7', says: 'a delta, for those that have number 7' },
      { line: 'advisories import all.rwa --key our.pub', says: 'refused where the signature is of anybody else' },
    ],
    exits: ['notFound', 'refused', 'conflict'],
    load: () => import('../commands/advisories.ts'),
  },
];
