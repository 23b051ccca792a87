// Passwords, what they are derived from, and what logs in for them.
import type { FileContent } from '../file-content.ts';
import { passwordKind } from '../password-hashes.ts';
import { SHIPPED, type ExposureRule } from '../rule.ts';
import { counted, type Sighting } from '../sighting.ts';

/** Lines of a file that a rule looks at. */
const MAX_LINES = 2000;

export const CREDENTIAL_RULES: readonly ExposureRule[] = [
  {
    id: 'shadow',
    category: 'credentials',
    title: 'password hashes of the system’s accounts',
    reason: 'passwords are guessed offline, without anybody noticing, and used wherever else they were set',
    references: ['CWE-916', 'ATT&CK T1003.008'],
    worth: 50,
    paths: [
      '/etc/shadow',
      '/etc/shadow-',
      '/var/backups/shadow.bak',
      '/etc/gshadow',
      '/etc/master.passwd',
      '/etc/security/opasswd',
    ],
    recognise: recogniseShadow,
  },
  {
    id: 'windows-accounts',
    category: 'credentials',
    title: 'password hashes of Windows accounts',
    reason: 'the hive of accounts together with that of the system gives every local hash, which logs in as it is',
    references: ['ATT&CK T1003.002'],
    worth: 70,
    paths: [
      '/Windows/System32/config/SAM',
      '/Windows/System32/config/SECURITY',
      '/Windows/System32/config/RegBack/SAM',
      '/Windows/repair/SAM',
    ],
    recognise: ({ text }) => (text.startsWith('regf') ? { detail: 'a registry hive' } : undefined),
  },
  {
    id: 'windows-directory',
    category: 'credentials',
    title: 'the database of an Active Directory',
    reason: 'it holds the hashes of every account of the domain',
    references: ['ATT&CK T1003.003'],
    worth: 90,
    paths: ['/Windows/NTDS/ntds.dit'],
  },
  {
    id: 'windows-unattended',
    category: 'credentials',
    title: 'passwords of an unattended Windows setup',
    reason: 'the answers for setup hold the administrator’s password, in clear or in Base64',
    references: ['CWE-256', 'ATT&CK T1552.001'],
    worth: 60,
    paths: [
      '/Windows/Panther/*nattend.xml',
      '/Windows/Panther/Unattend/*nattend.xml',
      '/Windows/System32/Sysprep/*.xml',
      '/*nattend.xml',
    ],
    recognise: ({ text }) =>
      /<(?:AdministratorPassword|Password)>/i.test(text.replaceAll('\0', ''))
        ? { detail: 'a password element' }
        : undefined,
  },
  {
    id: 'netrc',
    category: 'credentials',
    title: 'passwords for other machines',
    reason: 'programs log in with them without asking, and so would a thief',
    references: ['CWE-256', 'ATT&CK T1552.001'],
    worth: 50,
    paths: ['~/.netrc', '~/_netrc', '~/.authinfo'],
    recognise: ({ text }) => counted(text, /\bpassword[ \t]+\S/g, 'password'),
  },
  {
    id: 'git-credentials',
    category: 'credentials',
    title: 'passwords and tokens of Git servers',
    reason: 'whoever has them writes to the repositories, and what is built from those',
    references: ['CWE-256', 'ATT&CK T1552.001'],
    worth: 60,
    paths: ['~/.git-credentials', '~/.config/git/credentials', '**/.git/config'],
    recognise: ({ text }) =>
      counted(text, /https?:\/\/[^\s/:@]{1,200}:[^\s/@]{1,400}@/g, 'URL with a password', 'URLs with a password'),
  },
  {
    id: 'database-password',
    category: 'credentials',
    title: 'passwords of databases',
    reason: 'the database answers to whoever knows them, over the network too',
    references: ['CWE-256', 'ATT&CK T1552.001'],
    worth: 50,
    paths: ['~/.pgpass', '~/.my.cnf', '~/.mylogin.cnf', '/etc/mysql/debian.cnf', '**/.pgpass'],
    recognise: ({ text }) =>
      counted(text, /^[ \t]*password[ \t]*=[ \t]*\S/gm, 'password') ??
      counted(text, /^[^#\s:]{1,255}:[^:\n]{1,32}:[^:\n]{1,255}:[^:\n]{1,255}:\S/gm, 'password'),
  },
  {
    id: 'application-secrets',
    category: 'credentials',
    title: 'secrets of an application',
    reason: 'they open the application’s database, sign its sessions, or call others in its name',
    references: ['CWE-312', 'ATT&CK T1552.001'],
    worth: 50,
    paths: [
      '**/.env',
      '**/.env.*',
      '**/wp-config.php',
      '**/config/master.key',
      '**/config/secrets.yml',
      '**/application.properties',
      '**/local_settings.py',
      '**/.htpasswd',
    ],
    except: SHIPPED,
    recognise: recogniseApplication,
  },
  {
    id: 'network-passwords',
    category: 'credentials',
    title: 'passwords of wireless networks and of VPNs',
    reason: 'they let a thief into the networks that this machine was in',
    references: ['CWE-256', 'ATT&CK T1552.001'],
    worth: 40,
    paths: [
      '/etc/NetworkManager/system-connections/*',
      '/etc/wpa_supplicant/*.conf',
      '/etc/wpa_supplicant.conf',
      '/etc/ppp/chap-secrets',
      '/etc/ppp/pap-secrets',
      '/var/lib/iwd/*.psk',
      '/etc/ipsec.secrets',
    ],
    recognise: ({ text }) =>
      counted(text, /^[ \t]*(?:psk|password|Passphrase|wep-key\d|private-key|secret)[ \t]*=[ \t]*\S/gm, 'secret') ??
      counted(text, /^[^#\s][^\n]{0,200}[ \t]"?[^\s"]{4,200}"?[ \t]{0,8}\*?$/gm, 'line'),
  },
  {
    id: 'samba-passwords',
    category: 'credentials',
    title: 'password hashes of Samba',
    reason: 'NT hashes log in as they are: nothing has to be guessed',
    references: ['ATT&CK T1003', 'CWE-836'],
    worth: 60,
    paths: [
      '/var/lib/samba/private/passdb.tdb',
      '/var/lib/samba/private/secrets.tdb',
      '/var/lib/samba/private/sam.ldb',
      '/etc/samba/smbpasswd',
    ],
  },
  {
    id: 'directory-passwords',
    category: 'credentials',
    title: 'passwords of a directory service',
    reason: 'they read, and often write, the accounts of a whole organisation',
    references: ['ATT&CK T1552.001'],
    worth: 70,
    paths: [
      '/etc/sssd/sssd.conf',
      '/etc/libnss-ldap.secret',
      '/etc/ldap.secret',
      '/etc/pam_ldap.secret',
      '/var/lib/ldap/data.mdb',
    ],
    recognise: ({ text, size }) =>
      size > 0 && !/^\s*(?:#[^\n]*\n\s*)*$/.test(text.slice(0, 4096))
        ? { detail: 'a secret of a directory' }
        : undefined,
  },
  {
    id: 'browser-passwords',
    category: 'credentials',
    title: 'passwords that a browser has kept',
    reason: 'they are locked with the login of the desktop at most, and with nothing in many profiles',
    references: ['ATT&CK T1555.003'],
    worth: 50,
    paths: ['**/Login Data', '**/logins.json', '**/key4.db', '**/signons.sqlite'],
    except: SHIPPED,
  },
  {
    id: 'password-store',
    category: 'credentials',
    title: 'a store of passwords, locked with one',
    reason: 'its master password can be guessed at leisure',
    references: ['ATT&CK T1555.005'],
    worth: 15,
    paths: ['**/*.kdbx', '**/*.kdb', '~/.local/share/keyrings/*.keyring', '**/*.agilekeychain'],
  },
  {
    id: 'kerberos-keys',
    category: 'credentials',
    title: 'Kerberos keys',
    reason: 'a key of a service or host logs in as that, for as long as it is not changed',
    references: ['ATT&CK T1558'],
    worth: 60,
    paths: ['/etc/krb5.keytab', '**/*.keytab', '/var/lib/krb5kdc/principal'],
    recognise: (content) =>
      content.startsWith([5, 2]) || content.startsWith([5, 1])
        ? { detail: 'a key table' }
        : content.size > 8192
          ? { detail: 'a database of principals' }
          : undefined,
  },
  {
    id: 'first-boot-data',
    category: 'credentials',
    title: 'what the machine was told at its first boot',
    reason: 'passwords, keys and join tokens are passed this way, and stay',
    references: ['ATT&CK T1552.005', 'CWE-312'],
    worth: 40,
    paths: [
      '/var/lib/cloud/instances/*/user-data.txt',
      '/var/lib/cloud/instances/*/user-data.txt.i',
      '/var/lib/cloud/instances/*/vendor-data.txt',
      '/var/log/cloud-init-output.log',
      '/root/anaconda-ks.cfg',
      '/root/preseed.cfg',
      '/var/log/installer/preseed.cfg',
    ],
    recognise: ({ text }) =>
      counted(
        text,
        /\b(?:passwo?r?d|passphrase|secret|token|private_key|rootpw|chpasswd)\b/gi,
        'mention of a secret',
        'mentions of secrets',
      ),
  },
];

function recogniseShadow({ text }: FileContent): Sighting | undefined {
  const kinds = new Map<string, number>();
  let worth = 0;
  for (const line of text.split('\n', MAX_LINES)) {
    const [name, field] = line.split(':');
    if (name === undefined || name === '' || field === undefined) continue;
    const kind = passwordKind(field);
    if (kind.strength === 'locked') continue;
    kinds.set(kind.name, (kinds.get(kind.name) ?? 0) + 1);
    worth = Math.max(worth, kind.strength === 'strong' ? 30 : kind.strength === 'fair' ? 50 : 70);
  }
  if (kinds.size === 0) return undefined;
  const list = [...kinds].map(([name, count]) => `${String(count)} with ${name}`);
  return { detail: list.join(', '), worth };
}

function recogniseApplication(content: FileContent): Sighting | undefined {
  const { text } = content;
  const settings = counted(
    text,
    /^[ \t]*(?:export[ \t]+)?[A-Za-z_][\w.-]{0,80}(?:PASSW(?:OR)?D|SECRET|TOKEN|API_?KEY|PRIVATE_KEY|ACCESS_KEY)[\w.-]{0,40}[ \t]*[=:][ \t]*["']?[^\s"'<${]{6,}/gim,
    'secret',
  );
  const defined = counted(
    text,
    /define\(\s{0,8}['"](?:DB_PASSWORD|[A-Z_]{1,20}_(?:KEY|SALT))['"]\s{0,8},\s{0,8}['"][^'"\n]{1,200}/g,
    'secret',
  );
  const accounts = counted(text, /^[^:\s#]{1,64}:(?:\$[a-z0-9]{1,6}\$|\{SHA\})\S{8,}/gim, 'account');
  const master = /^[0-9a-f]{32}\s*$/.test(text) ? { detail: 'a master key' } : undefined;
  return settings ?? defined ?? accounts ?? master;
}
