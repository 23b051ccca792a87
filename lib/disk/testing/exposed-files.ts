// One example for each rule of exposure, and for each a neighbour of nearly the same name that is no find. `CANARY` stands
// for the secret: no report may hold a part of it.

export const CANARY = 'Tr0ub4dor-and-3-canaries-Qx7Zk9Wv2Lm5Np8Rs4';

const PRIVATE_KEY = `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----\n`;
const PUBLIC_KEY = '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n';
const SQLITE = `SQLite format 3\0${CANARY}${'\0'.repeat(8192)}`;
const KEYTAB = Uint8Array.of(5, 2, 0, 0, 0, 9);
const PKCS12 = Uint8Array.of(0x30, 0x82, 9, 9, 2, 1, 3);
const ELF_CORE = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0);
const ELF_PROGRAM = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0);

type Contents = string | Uint8Array;

export interface Example {
  readonly rule: string;
  readonly found: readonly [path: string, contents: Contents];
  readonly passed: readonly [path: string, contents: Contents];
}

export const EXAMPLES: readonly Example[] = [
  {
    rule: 'shadow',
    found: ['/etc/shadow', `root:$6$salt$${CANARY}:1::\n`],
    passed: ['/etc/shadow', 'root:!:1::\nbin:*:1::\n'],
  },
  {
    rule: 'windows-accounts',
    found: ['/Windows/System32/config/SAM', `regf${CANARY}`],
    passed: ['/Windows/System32/config/SAM', ''],
  },
  { rule: 'windows-directory', found: ['/Windows/NTDS/ntds.dit', CANARY], passed: ['/srv/ntds.dit', CANARY] },
  {
    rule: 'windows-unattended',
    found: ['/Windows/Panther/unattend.xml', `<AdministratorPassword><Value>${CANARY}</Value>`],
    passed: ['/Windows/Panther/unattend.xml', '<ComputerName>x</ComputerName>'],
  },
  {
    rule: 'netrc',
    found: ['/home/ada/.netrc', `machine x login y password ${CANARY}\n`],
    passed: ['/home/ada/.netrc', '# machine only\n'],
  },
  {
    rule: 'git-credentials',
    found: ['/root/.git-credentials', `https://ada:${CANARY}@example.org\n`],
    passed: ['/srv/x/.git/config', '[remote]\nurl = https://example.org/x\n'],
  },
  {
    rule: 'database-password',
    found: ['/root/.pgpass', `db:5432:app:app:${CANARY}\n`],
    passed: ['/root/.my.cnf', '[client]\nuser=root\n'],
  },
  {
    rule: 'application-secrets',
    found: ['/srv/app/.env', `DB_PASSWORD=${CANARY}\n`],
    passed: ['/srv/app/.env.example', 'DB_PASSWORD=\nDEBUG=1\nTOKEN=${TOKEN}\n'],
  },
  {
    rule: 'network-passwords',
    found: ['/etc/NetworkManager/system-connections/home.nmconnection', `[wifi-security]\npsk=${CANARY}\n`],
    passed: ['/etc/NetworkManager/system-connections/lan', '[connection]\nid=lan\n'],
  },
  {
    rule: 'samba-passwords',
    found: ['/var/lib/samba/private/passdb.tdb', CANARY],
    passed: ['/var/lib/samba/registry.tdb', CANARY],
  },
  {
    rule: 'directory-passwords',
    found: ['/etc/ldap.secret', CANARY],
    passed: ['/etc/sssd/sssd.conf', '# nothing here\n\n'],
  },
  {
    rule: 'browser-passwords',
    found: ['/home/ada/.mozilla/firefox/x.default/logins.json', CANARY],
    passed: ['/home/ada/logins.txt', CANARY],
  },
  { rule: 'password-store', found: ['/home/ada/all.kdbx', CANARY], passed: ['/home/ada/kdbx', CANARY] },
  { rule: 'kerberos-keys', found: ['/etc/krb5.keytab', KEYTAB], passed: ['/srv/x.keytab', 'a text'] },
  {
    rule: 'first-boot-data',
    found: ['/var/lib/cloud/instances/i-1/user-data.txt', `#cloud-config\npassword: ${CANARY}\n`],
    passed: ['/var/lib/cloud/instances/i-1/user-data.txt', '#cloud-config\nhostname: x\n'],
  },
  {
    rule: 'ssh-private-key',
    found: ['/home/ada/.ssh/id_ed25519', PRIVATE_KEY],
    passed: ['/home/ada/.ssh/id_ed25519.pub', 'ssh-ed25519 AAAA ada\n'],
  },
  {
    rule: 'ssh-host-key',
    found: ['/etc/ssh/ssh_host_rsa_key', PRIVATE_KEY],
    passed: ['/etc/ssh/ssh_host_rsa_key.pub', 'ssh-rsa AAAA\n'],
  },
  {
    rule: 'private-key',
    found: ['/etc/nginx/tls.key', PRIVATE_KEY],
    passed: ['/usr/lib/python3/test/keycert.pem', PRIVATE_KEY],
  },
  { rule: 'private-key', found: ['/srv/server.pem', PRIVATE_KEY], passed: ['/srv/public.pem', PUBLIC_KEY] },
  { rule: 'key-store', found: ['/srv/x.p12', PKCS12], passed: ['/srv/x.pfx', 'a text'] },
  {
    rule: 'openpgp-private-key',
    found: ['/root/.gnupg/private-keys-v1.d/AB.key', CANARY],
    passed: ['/root/.gnupg/pubring.kbx', CANARY],
  },
  {
    rule: 'vpn-private-key',
    found: ['/etc/wireguard/wg0.conf', `[Interface]\nPrivateKey = ${CANARY.replaceAll('-', 'A')}=\n`],
    passed: ['/etc/wireguard/wg0.conf', '[Peer]\nPublicKey = x\n'],
  },
  {
    rule: 'disk-key-file',
    found: ['/etc/cryptsetup-keys.d/data.key', CANARY],
    passed: ['/etc/crypttab', 'data UUID=x none luks\n'],
  },
  { rule: 'signing-key', found: ['/srv/ca/ca.key', PRIVATE_KEY], passed: ['/srv/ca/ca.crt', 'x'] },
  { rule: 'crypto-wallet', found: ['/home/ada/.bitcoin/wallet.dat', CANARY], passed: ['/home/ada/wallet.txt', CANARY] },
  {
    rule: 'ssh-logins',
    found: ['/root/.ssh/authorized_keys', 'ssh-ed25519 AAAA ada\n'],
    passed: ['/root/.ssh/authorized_keys', '# none\n'],
  },
  { rule: 'client-certificate', found: ['/root/.ssh/id_rsa-cert.pub', 'x'], passed: ['/root/cert.pub', 'x'] },
  {
    rule: 'aws-credentials',
    found: ['/home/ada/.aws/credentials', `[default]\naws_secret_access_key = ${CANARY.replaceAll('-', '/')}\n`],
    passed: ['/home/ada/.aws/config', '[default]\nregion = x\n'],
  },
  {
    rule: 'gcp-credentials',
    found: ['/srv/my-key.json', `{"private_key": "-----BEGIN ${CANARY}"}`],
    passed: ['/srv/other-key.json', '{"public": 1}'],
  },
  {
    rule: 'azure-credentials',
    found: ['/root/.azure/msal_token_cache.json', `{"secret": "${CANARY}"}`],
    passed: ['/root/.azure/azureProfile.json', '{"subscriptions": []}'],
  },
  {
    rule: 'cloud-tokens',
    found: ['/root/.config/doctl/config.yaml', `access-token: ${CANARY}\n`],
    passed: ['/root/.config/doctl/config.yaml', 'context: default\n'],
  },
  {
    rule: 'terraform-state',
    found: ['/srv/terraform.tfstate', '{"terraform_version": "1.9.0"}'],
    passed: ['/srv/terraform.tfvars', 'region = "x"\n'],
  },
  {
    rule: 'kubernetes-config',
    found: ['/root/.kube/config', `users:\n- user:\n    token: ${CANARY}\n`],
    passed: ['/root/.kube/config', 'clusters: []\n'],
  },
  {
    rule: 'kubernetes-keys',
    found: ['/etc/kubernetes/pki/ca.key', PRIVATE_KEY],
    passed: ['/etc/kubernetes/pki/ca.crt', 'x'],
  },
  { rule: 'cluster-secrets', found: ['/var/lib/etcd/member/snap/db', CANARY], passed: ['/srv/member/snap/db', CANARY] },
  {
    rule: 'registry-login',
    found: ['/root/.docker/config.json', `{"auths": {"x": {"auth": "${CANARY}"}}}`],
    passed: ['/root/.docker/config.json', '{"auths": {}}'],
  },
  {
    rule: 'package-token',
    found: ['/root/.npmrc', `//registry.example.org/:_authToken=${CANARY}\n`],
    passed: ['/srv/app/.npmrc', 'save-exact=true\n//x/:_authToken=${NPM_TOKEN}\n'],
  },
  {
    rule: 'forge-token',
    found: ['/root/.config/gh/hosts.yml', `github.com:\n    oauth_token: ${CANARY}\n`],
    passed: ['/root/.config/gh/hosts.yml', 'github.com:\n    user: ada\n'],
  },
  {
    rule: 'vault-token',
    found: ['/root/.vault-token', CANARY],
    passed: ['/etc/vault.d/vault.hcl', 'ui = true\nlistener "tcp" {\n}\n'],
  },
  {
    rule: 'session-cookies',
    found: ['/home/ada/.mozilla/firefox/x/cookies.sqlite', CANARY],
    passed: ['/home/ada/cookies.txt', CANARY],
  },
  {
    rule: 'shell-history',
    found: ['/root/.bash_history', `ls\nmysql -p${CANARY}\n`],
    passed: ['/root/.bash_history', ''],
  },
  {
    rule: 'program-history',
    found: ['/root/.psql_history', `alter user x password '${CANARY}';\n`],
    passed: ['/srv/.psql_history', 'x\n'],
  },
  {
    rule: 'database-files',
    found: ['/var/lib/mysql/app/users.ibd', CANARY],
    passed: ['/var/lib/mysql/app/db.opt', 'x'],
  },
  { rule: 'sqlite-database', found: ['/srv/app/data.db', SQLITE], passed: ['/usr/share/x/data.db', SQLITE] },
  {
    rule: 'database-dump',
    found: ['/srv/backup.sql', `-- PostgreSQL database dump\nCOPY x (y) FROM stdin;\n${CANARY}\n`],
    passed: ['/srv/query.sql', 'select 1;\n'],
  },
  { rule: 'mail', found: ['/var/mail/ada', `From x\n${CANARY}\n`], passed: ['/var/mail/ada', ''] },
  { rule: 'swap', found: ['/swapfile', CANARY], passed: ['/srv/swapfile', CANARY] },
  {
    rule: 'hibernation',
    found: ['/hiberfil.sys', `HIBR${'\0'.repeat(5000)}`],
    passed: ['/hiberfil.sys', '\0'.repeat(5000)],
  },
  { rule: 'core-dump', found: ['/var/crash/core', ELF_CORE], passed: ['/srv/core', ELF_PROGRAM] },
];
