// What people typed, wrote and stored: histories, databases, mail; and what was in memory when it was written to disk.
import { SHIPPED, type ExposureRule } from '../rule.ts';
import { counted } from '../sighting.ts';
import type { FileContent } from '../file-content.ts';
import type { Sighting } from '../sighting.ts';

const SECRET_ON_A_COMMAND_LINE =
  /(?:\bmysql[a-z]{0,12} (?:[^\s|;]{1,64} ){0,3}-p|--?p(?:ass(?:word)?)?[= ]|PASSWORD=|TOKEN=|SECRET=|sshpass |-u \S{1,64}:|Authorization: )\S/g;

export const RECORD_RULES: readonly ExposureRule[] = [
  {
    id: 'shell-history',
    category: 'histories',
    title: 'what people typed in a shell',
    reason: 'passwords on command lines, names of machines, and how they are administered',
    references: ['ATT&CK T1552.003'],
    worth: 20,
    paths: [
      '~/.bash_history',
      '~/.zsh_history',
      '~/.histfile',
      '~/.ash_history',
      '~/.sh_history',
      '~/.local/share/fish/fish_history',
      '**/ConsoleHost_history.txt',
    ],
    recognise: recogniseHistory,
  },
  {
    id: 'program-history',
    category: 'histories',
    title: 'what people typed in databases and interpreters',
    reason: 'statements that set passwords, and contents of tables',
    references: ['ATT&CK T1552.003'],
    worth: 15,
    paths: [
      '~/.mysql_history',
      '~/.psql_history',
      '~/.sqlite_history',
      '~/.python_history',
      '~/.node_repl_history',
      '~/.irb_history',
      '~/.rediscli_history',
      '~/.dbshell',
      '~/.mongodb/mongosh/mongosh_repl_history',
      '~/.viminfo',
      '~/.lesshst',
    ],
    recognise: recogniseHistory,
  },
  {
    id: 'database-files',
    category: 'databases',
    title: 'the files of a database',
    reason: 'every row can be read: the password of the database protects its socket, not its files',
    references: ['CWE-311', 'ATT&CK T1005'],
    worth: 60,
    paths: [
      '/var/lib/mysql/ibdata1',
      '/var/lib/mysql/*/*.ibd',
      '/var/lib/mysql/*/*.MYD',
      '/var/lib/postgresql/*/*/PG_VERSION',
      '/var/lib/pgsql/data/PG_VERSION',
      '/var/lib/pgsql/*/data/PG_VERSION',
      '/var/lib/mongodb/*.wt',
      '/var/lib/mongo/*.wt',
      '/var/lib/redis/dump.rdb',
      '/var/lib/redis/appendonly.aof',
      '/var/lib/elasticsearch/nodes/0/node.lock',
      '/var/lib/influxdb/meta/meta.db',
      '/var/lib/clickhouse/status',
      '/var/lib/cassandra/data/*/*/*-Data.db',
      '/var/opt/mssql/data/*.mdf',
    ],
  },
  {
    id: 'sqlite-database',
    category: 'databases',
    title: 'SQLite databases of applications',
    reason: 'they are in clear unless an application encrypts them itself',
    references: ['CWE-311', 'ATT&CK T1005'],
    worth: 30,
    paths: ['**/*.sqlite', '**/*.sqlite3', '**/*.db'],
    except: [
      ...SHIPPED,
      '/var/cache/',
      '/var/lib/apt/',
      '/var/lib/dpkg/',
      '/var/lib/dnf/',
      '/var/lib/rpm/',
      '/var/lib/man-db/',
      '/var/lib/command-not-found/',
      '/usr/libexec/',
      '/etc/aliases.db',
    ],
    recognise: ({ text, size }) =>
      text.startsWith('SQLite format 3\0') && size > 4096 ? { detail: 'a SQLite database' } : undefined,
    byContentAlone: true,
  },
  {
    id: 'database-dump',
    category: 'databases',
    title: 'dumps and backups of databases',
    reason: 'a whole database in one file, ready to be read',
    references: ['CWE-530', 'ATT&CK T1005'],
    worth: 60,
    paths: ['**/*.sql', '**/*.dump', '**/*.sql.gz', '**/*.sql.zst', '**/*.pgdump'],
    except: SHIPPED,
    recognise: (content) =>
      counted(
        content.text,
        /^(?:INSERT INTO|COPY \S{1,200} |CREATE TABLE|-- (?:MySQL|MariaDB|PostgreSQL) )/gm,
        'statement',
      ) ??
      (content.startsWith([0x50, 0x47, 0x44, 0x4d, 0x50]) ||
      content.startsWith([0x1f, 0x8b]) ||
      content.startsWith([0x28, 0xb5, 0x2f, 0xfd])
        ? { detail: 'an archive' }
        : undefined),
    byContentAlone: true,
  },
  {
    id: 'mail',
    category: 'mail',
    title: 'mail',
    reason: 'it is private, and resets passwords',
    references: ['ATT&CK T1114.001'],
    worth: 40,
    paths: [
      '/var/mail/*',
      '/var/spool/mail/*',
      '~/Maildir/cur/*',
      '~/Maildir/new/*',
      '/var/vmail/*/*/cur/*',
      '/var/vmail/*/*/Maildir/cur/*',
      '**/*.mbox',
      '**/*.pst',
      '**/*.ost',
      '~/.thunderbird/*/Mail/*/*',
      '~/.thunderbird/*/ImapMail/*/*',
    ],
    recognise: ({ size }) => (size > 0 ? { detail: 'messages' } : undefined),
  },
  {
    id: 'swap',
    category: 'memory',
    title: 'a swap file in clear',
    reason: 'pages of any program were written there: passwords, keys, decrypted files',
    references: ['CWE-313', 'ATT&CK T1003'],
    worth: 40,
    paths: ['/swapfile', '/swap.img', '/swap/*', '/var/swap', '/pagefile.sys', '/swapfile.sys'],
    recognise: ({ size }) => (size > 0 ? { detail: 'memory that was paged out' } : undefined),
  },
  {
    id: 'hibernation',
    category: 'memory',
    title: 'a whole memory, from hibernation',
    reason: 'all that was in memory when the machine slept, keys of encrypted disks among it',
    references: ['CWE-313', 'ATT&CK T1003'],
    worth: 80,
    paths: ['/hiberfil.sys'],
    recognise: ({ text, size }) =>
      size > 4096 && /^(?:hibr|HIBR|wake|WAKE|RSTR)/.test(text) ? { detail: 'an image of memory' } : undefined,
  },
  {
    id: 'core-dump',
    category: 'memory',
    title: 'memory of programs that crashed',
    reason: 'a dump holds what the program held: keys, passwords, sessions of others',
    references: ['CWE-528', 'CWE-313'],
    worth: 30,
    paths: [
      '/var/lib/systemd/coredump/*',
      '/var/crash/*',
      '/var/lib/apport/coredump/*',
      '/var/spool/abrt/*/coredump',
      '**/core',
      '**/*.dmp',
      '/Windows/MEMORY.DMP',
      '/Windows/Minidump/*.dmp',
    ],
    except: SHIPPED,
    recognise: (content) =>
      content.startsWith([0x7f, 0x45, 0x4c, 0x46]) && content.head[16] === 4
        ? { detail: 'a core of an ELF program' }
        : content.startsWith([0x28, 0xb5, 0x2f, 0xfd]) ||
            content.text.startsWith('MDMP') ||
            content.text.startsWith('PAGEDU')
          ? { detail: 'a dump' }
          : undefined,
  },
];

function recogniseHistory({ text }: FileContent): Sighting | undefined {
  const lines = counted(text, /\n/g, 'line');
  if (lines === undefined) return undefined;
  const secrets = counted(text, SECRET_ON_A_COMMAND_LINE, 'looks like a secret', 'look like secrets');
  return secrets === undefined ? lines : { detail: `${lines.detail}, of which ${secrets.detail}`, worth: 40 };
}
