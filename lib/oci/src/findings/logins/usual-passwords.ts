// The passwords that attackers try first, in the order in which they would: a list of our own, of what default
// installations, tutorials and people in a hurry use, and variants of the account's own name.

/** Before the variants of an account's name: those that images are built with. */
const FIRST: readonly string[] = [
  'root',
  'password',
  'admin',
  '123456',
  'toor',
  'changeme',
  'secret',
  'test',
  '1234',
  '12345678',
  '12345',
  'docker',
  'vagrant',
  'ubuntu',
  'debian',
  'alpine',
  'guest',
  'user',
  'pass',
  'passw0rd',
  'p@ssw0rd',
  'P@ssw0rd',
  'qwerty',
  'letmein',
  'default',
];

const THEN: readonly string[] = [
  ...'123456789 1234567890 1234567 123123 111111 000000 123 1 0000 1111 654321 666666 888888 121212 112233'.split(' '),
  ...'Password Password1 Password123 password1 password123 Passw0rd P@ssword p@ssword pass123 pass1234 Pass1234'.split(
    ' ',
  ),
  ...'admin123 admin1234 admin12345 admin1 Admin Admin123 admin@123 Admin@123 adminadmin administrator 4dm1n'.split(
    ' ',
  ),
  ...'root123 root1234 root12345 rootroot rootpass rootpassword Root123 root@123 r00t R00t toor123 t00r'.split(' '),
  ...'test123 test1234 testing tester testtest Test123 demo demo123 sample example temp temp123 tmp tmp123'.split(' '),
  ...'changeit change_me changethis ChangeMe Changeme1 changeme123 please-change replace-me'.split(' '),
  ...'Secret secret1 secret123 s3cret s3cr3t supersecret topsecret mysecret secretpassword mypassword mypass'.split(
    ' ',
  ),
  ...'qwerty123 qwerty1 qwertyuiop qazwsx 1q2w3e 1q2w3e4r 1q2w3e4r5t 1qaz2wsx zaq12wsx asdf asdfgh asdf1234 zxcvbn'.split(
    ' ',
  ),
  ...'abc123 abc abcd abcd1234 abc12345 a1b2c3 a a123456 aa123456 aaaaaa abcdef'.split(' '),
  ...'welcome welcome1 Welcome1 Welcome123 hello hello123 hi iloveyou monkey dragon sunshine princess football'.split(
    ' ',
  ),
  ...'baseball master shadow superman batman trustno1 access login login123 letmein1 letmein123 open opensesame'.split(
    ' ',
  ),
  ...'computer internet server linux Linux unix centos fedora redhat rocky suse arch gentoo kali freebsd openbsd'.split(
    ' ',
  ),
  ...'raspberry raspbian pi dietpi libreelec openelec odroid orangepi armbian bananapi 1234qwer nvidia jetson'.split(
    ' ',
  ),
  ...'ubnt cisco juniper mikrotik netgear linksys dlink tplink zyxel huawei support service system manager'.split(' '),
  ...'operator monitor nagios zabbix grafana prometheus kibana elastic elasticsearch logstash splunk'.split(' '),
  ...'mysql postgres postgresql mariadb oracle mongo mongodb redis rabbitmq cassandra memcached couchdb db dba database'.split(
    ' ',
  ),
  ...'apache nginx tomcat jboss wildfly jenkins gitlab git svn hadoop spark kafka zookeeper ansible puppet chef'.split(
    ' ',
  ),
  ...'kubernetes k8s k3s rancher minikube openshift podman lxc lxd container image build builder ci deploy deployer'.split(
    ' ',
  ),
  ...'ec2-user azureuser cloud cloud-user aws azure google gcp opc vmware openstack cirros cubswin:) gocubsgo'.split(
    ' ',
  ),
  ...'ftp ftpuser sftp ssh sshd backup mail postfix www www-data web webmaster site app application node python java'.split(
    ' ',
  ),
  ...'dev develop developer development devel stage staging prod production live local localhost'.split(' '),
  ...'screencast wubao anonymous nobody student teacher lab training course workshop ctf hacker pwned alice bob'.split(
    ' ',
  ),
  ...'none null nopassword nopass empty blank no yes foo bar foobar baz x xx xxx xxxx z ok go'.split(' '),
  ...'2020 2021 2022 2023 2024 2025 2026 summer winter spring autumn Summer2025 Winter2025 Spring2026 Summer2026'.split(
    ' ',
  ),
  ...'7ujMko0admin xc3511 vizxv 888888888 54321 klv123 juantech anko realtek dreambox hi3518 jvbzd'.split(' '),
];

/** Most usual first; no word twice. */
export const USUAL_PASSWORDS: readonly string[] = [...new Set([...FIRST, ...THEN])];

export interface Guess {
  readonly password: string;
  /** For people, in place of the password. */
  readonly told: string;
}

const OWN_NAME = 'the account’s own name';
const OF_ITS_NAME = 'made of the account’s own name';

/** In the order in which they are worth trying: an account's name, what images are built with, its variants, the others. */
export function guessesFor(account: string): readonly Guess[] {
  const name = account.slice(0, MAX_NAME_CHARACTERS);
  const capital = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  const reversed = Array.from(name).toReversed().join('');
  const variants = [
    ...['123', '1234', '1', '12345', '123456', '@123', '!', '2024', '2025', '2026', 'pass', 'password'].map(
      (end) => `${name}${end}`,
    ),
    `${name}${name}`,
    `${name}-password`,
    `${name}_password`,
    capital,
    `${capital}123`,
    `${capital}1`,
    `${capital}@123`,
    name.toUpperCase(),
  ];
  const ordered: Guess[] = [
    { password: name, told: OWN_NAME },
    ...FIRST.map((password) => ({ password, told: usual(password) })),
    { password: reversed, told: 'the account’s own name backwards' },
    ...variants.map((password) => ({ password, told: OF_ITS_NAME })),
    ...THEN.map((password) => ({ password, told: usual(password) })),
  ];
  const first = new Map<string, Guess>();
  for (const guess of ordered) if (!first.has(guess.password)) first.set(guess.password, guess);
  return [...first.values()];
}

/** Longer than any system lets an account's name be (login.defs(5)). */
const MAX_NAME_CHARACTERS = 32;
/** How precisely the list is told: a rank would be the password. */
const TOLD_RANKS: readonly number[] = [100, USUAL_PASSWORDS.length];

function usual(password: string): string {
  const rank = USUAL_PASSWORDS.indexOf(password) + 1;
  return `one of the ${String(TOLD_RANKS.find((limit) => rank <= limit) ?? USUAL_PASSWORDS.length)} most usual`;
}
