// Files with secrets, made anew for each run, and files that only look as if they had some: what finding secrets is measured
// on. No secret here opens anything.
import { createHash, generateKeyPairSync, randomInt } from 'node:crypto';
import { crc32 } from '../src/findings/secrets/token-checksums.ts';

export interface CorpusFile {
  readonly what: string;
  readonly path: string;
  readonly content: string;
  /** The secrets themselves, for looking whether a report repeats one. */
  readonly secrets: readonly string[];
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE64URL = `${BASE62}-_`;
const HEX = '0123456789abcdef';
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export function randomText(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** With the checksum that its issuer would have put there. */
export function withCrc32(prefix: string): string {
  const body = randomText(BASE62, 30);
  let rest = crc32(body);
  let digits = '';
  for (let count = 0; count < 6; count += 1) {
    digits = `${BASE62[rest % 62]}${digits}`;
    rest = Math.floor(rest / 62);
  }
  return `${prefix}${body}${digits}`;
}

const pem = (kind: 'ec' | 'rsa' | 'ed25519'): string => {
  if (kind === 'ec') {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return privateKey.export({ type: 'sec1', format: 'pem' });
  }
  const { privateKey } =
    kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 1024 }) : generateKeyPairSync('ed25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' });
};
const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const jwt = (): string =>
  `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url(`{"sub":"svc-${randomText(HEX, 8)}","exp":1893456000}`)}.${randomText(BASE64URL, 43)}`;
const mixed = (length: number): string => `${randomText(BASE62, length - 4)}aK7x`;

/** One form of secret a row: how it is written where, with what it is. */
const TRUE_SECRETS: readonly (readonly [
  what: string,
  path: string,
  make: () => string,
  around: (secret: string) => string,
])[] = [
  ['GitHub token', 'root/.config/x/hosts', () => withCrc32('ghp_'), (s) => `user: ada\noauth: ${s}\n`],
  [
    'GitHub server token in a script',
    'app/ci.sh',
    () => withCrc32('ghs_'),
    (s) => `curl -H "Authorization: ${s}" https://api\n`,
  ],
  [
    'fine-grained GitHub token',
    'app/notes.txt',
    () => `github_pat_${randomText(BASE62, 22)}_${randomText(BASE62, 59)}`,
    (s) => s,
  ],
  ['npm token', 'app/.npmrc', () => withCrc32('npm_'), (s) => `//registry.npmjs.org/:_authToken=${s}\n`],
  [
    'GitLab token',
    'srv/run',
    () => `glpat-${randomText(BASE62, 20)}`,
    (s) => `git clone https://oauth2:${s}@gitlab.example.org/x\n`,
  ],
  ['AWS key', 'app/boto.txt', () => randomText(`${BASE62}+/`, 40), (s) => `AKIA${randomText(BASE32, 16)}\n${s}\n`],
  [
    'AWS credentials',
    'root/.aws/credentials',
    () => randomText(BASE62, 40),
    (s) => `[default]\naws_access_key_id = AKIA${randomText(BASE32, 16)}\naws_secret_access_key = ${s}\n`,
  ],
  ['Google API key', 'srv/map.js', () => `AIza${randomText(BASE64URL, 34)}a`, (s) => `load({ key: '${s}' });\n`],
  [
    'Slack token',
    'app/bot.py',
    () => `xoxb-${randomText('0123456789', 12)}-${randomText('0123456789', 12)}-${randomText(BASE62, 24)}`,
    (s) => `client = WebClient("${s}")\n`,
  ],
  [
    'Slack webhook',
    'app/hook',
    () => randomText(BASE62, 24),
    (s) => `https://hooks.slack.com/services/T${randomText(BASE32, 8)}/B${randomText(BASE32, 8)}/${s}\n`,
  ],
  ['Stripe key', 'app/pay.rb', () => `sk_live_${randomText(BASE62, 24)}`, (s) => `Stripe.api_key = "${s}"\n`],
  [
    'SendGrid key',
    'app/mail.php',
    () => `SG.${randomText(BASE62, 22)}.${randomText(BASE62, 43)}`,
    (s) => `<?php $k = '${s}';\n`,
  ],
  [
    'PyPI token',
    'root/.pypirc',
    () => `pypi-AgEIcHlwaS5vcmc${randomText(BASE62, 120)}`,
    (s) => `[pypi]\npassword = ${s}\n`,
  ],
  [
    'OpenAI key',
    'app/ask.ts',
    () => `sk-proj-${randomText(BASE62, 40)}T3BlbkFJ${randomText(BASE62, 40)}`,
    (s) => `new OpenAI({ apiKey: '${s}' });\n`,
  ],
  ['Anthropic key', 'app/.env', () => `sk-ant-api03-${randomText(BASE62, 93)}AA`, (s) => `ANTHROPIC_API_KEY=${s}\n`],
  ['DigitalOcean token', 'app/do', () => `dop_v1_${randomText(HEX, 64)}`, (s) => s],
  ['Hugging Face token', 'app/hub', () => `hf_${randomText(BASE62, 34)}`, (s) => s],
  ['Vault token', 'root/x', () => `hvs.${randomText(BASE62, 90)}`, (s) => `VAULT_TOKEN=${s}\n`],
  ['JWT', 'app/session', jwt, (s) => `Authorization: Bearer ${s}\n`],
  ['EC key', 'etc/nginx/site.key', () => pem('ec'), (s) => s],
  ['RSA key among other text', 'opt/app/config.txt', () => pem('rsa'), (s) => `settings\n${s}more\n`],
  [
    'Ed25519 key in JSON',
    'srv/service-account.json',
    () => pem('ed25519'),
    (s) => JSON.stringify({ type: 'service_account', private_key: s }),
  ],
  [
    'password of a database in a URL',
    'app/database.yml',
    () => mixed(14),
    (s) => `url: postgres://app:${s}@db.internal:5432/app\n`,
  ],
  ['password in .env', 'app/.env', () => mixed(14), (s) => `DB_HOST=db\nDB_PASSWORD=${s}\n`],
  ['quoted secret in .env', 'app/.env.production', () => mixed(40), (s) => `SECRET_KEY_BASE="${s}"\n`],
  [
    'secret of a Django project',
    'app/settings.py',
    () => `django-insecure-${mixed(40)}`,
    (s) => `SECRET_KEY = '${s}'\n`,
  ],
  ['secret in YAML', 'srv/conf/app.yaml', () => mixed(24), (s) => `auth:\n  client_secret: ${s}\n`],
  ['secret in JSON', 'srv/conf/app.json', () => mixed(24), (s) => `{"apiKey": "${s}", "x": 1}\n`],
  ['secret in properties', 'opt/x/application.properties', () => mixed(20), (s) => `spring.datasource.password=${s}\n`],
  ['secret in a PHP program', 'var/www/config.php', () => mixed(20), (s) => `<?php\n$db_password = "${s}";\n`],
  ['hexadecimal secret', 'app/config.toml', () => randomText(HEX, 64), (s) => `secret_key = "${s}"\n`],
  [
    'WireGuard key',
    'etc/wireguard/wg0.conf',
    () => `${randomText(BASE62, 43)}=`,
    (s) => `[Interface]\nPrivateKey = ${s}\n`,
  ],
  [
    'docker login',
    'root/.docker/config.json',
    () => Buffer.from(`ada:${mixed(16)}`).toString('base64'),
    (s) => `{"auths":{"x":{"auth":"${s}"}}}`,
  ],
  ['netrc', 'root/.netrc', () => mixed(12), (s) => `machine x login y password ${s}\n`],
];

/** `rounds` files of each form, every secret another. */
export function trueSecrets(rounds: number): readonly CorpusFile[] {
  return Array.from({ length: rounds }).flatMap(() =>
    TRUE_SECRETS.map(([what, path, make, around]) => {
      const secret = make();
      return { what, path, content: around(secret), secrets: [secret.split('\n')[1] ?? secret] };
    }),
  );
}

const sha = (algorithm: string, text: string, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash(algorithm).update(text).digest(encoding);
const uuid = (): string =>
  `${randomText(HEX, 8)}-${randomText(HEX, 4)}-4${randomText(HEX, 3)}-a${randomText(HEX, 3)}-${randomText(HEX, 12)}`;
const file = (what: string, path: string, content: string): CorpusFile => ({ what, path, content, secrets: [] });

/** What a scanner that looks for random text or telling names would cry about. */
export function lookAlikes(rounds: number): readonly CorpusFile[] {
  return Array.from({ length: rounds }).flatMap((_, round) => {
    const seed = `${String(round)}-${randomText(HEX, 8)}`;
    return [
      file('hashes', 'app/SHA256SUMS', `${sha('sha256', seed)}  a.tar\n${sha('sha1', seed)}  b.tar\n`),
      file('npm lock file', 'app/package-lock.json', `{"integrity": "sha512-${sha('sha512', seed, 'base64')}"}`),
      file('yarn lock file', 'app/yarn.lock', `x@1:\n  integrity sha512-${sha('sha512', seed, 'base64')}\n`),
      file(
        'hash in settings',
        'app/release.yaml',
        `token_hash: ${sha('sha256', seed)}\npassword_digest: ${sha('sha1', seed)}\n`,
      ),
      file('UUIDs', 'app/ids.json', `{"token_id": "${uuid()}", "secret": "${uuid()}"}`),
      file('git objects', 'app/.git/packed-refs', `${sha('sha1', seed)} refs/heads/main\n`),
      file(
        'picture in Base64',
        'app/logo.css.txt',
        `url(data:image/png;base64,${Buffer.from(randomText(BASE62, 400)).toString('base64')})`,
      ),
      file(
        'minified program',
        'app/bundle.js',
        `var a="${randomText(BASE62, 200)}";function token(b){return b.password=c.secret}`,
      ),
      file('AWS’s documented key', 'app/README', 'AKIAIOSFODNN7EXAMPLE\nwJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n'),
      file('AWS account without secret', 'app/policy.txt', `AKIA${randomText(BASE32, 16)} may read\n`),
      file('token of the wrong checksum', 'app/doc.txt', `ghp_${randomText(BASE62, 29)}000000x\n`),
      file('npm token of the wrong checksum', 'app/doc2.txt', `npm_${'0'.repeat(36)}\n`),
      file(
        'the JWT of jwt.io',
        'app/jwt.txt',
        `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url('{"sub":"1234567890","name":"John Doe","iat":1516239022}')}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c`,
      ),
      file(
        'unsigned JWT',
        'app/jwt2.txt',
        `${base64url('{"alg":"none"}')}.${base64url('{"sub":"ada"}')}.${'A'.repeat(30)}`,
      ),
      file(
        'public key',
        'app/key.pub',
        `-----BEGIN PUBLIC KEY-----\n${randomText(BASE62, 64)}\n-----END PUBLIC KEY-----\n`,
      ),
      file(
        'certificate',
        'etc/ssl/x.pem',
        `-----BEGIN CERTIFICATE-----\n${randomText(BASE62, 640)}\n-----END CERTIFICATE-----\n`,
      ),
      file(
        'drawing of a key',
        'app/help.txt',
        '-----BEGIN RSA PRIVATE KEY-----\n................................................................\n-----END RSA PRIVATE KEY-----\n',
      ),
      file(
        'key cut off',
        'app/help2.txt',
        `-----BEGIN PRIVATE KEY-----\n${pem('ec').split('\n')[1] ?? ''}\n-----END PRIVATE KEY-----\n`,
      ),
      file(
        'code that looks for keys',
        'app/scan.py',
        `if "-----BEGIN PRIVATE KEY-----" in text: password = getpass.getpass()\n`,
      ),
      file(
        'placeholders',
        'app/.env',
        'DB_PASSWORD=changeme\nAPI_KEY=<your-key>\nTOKEN=xxxxxxxxxxxxxxxxxxxx\nSECRET=${SECRET}\nPASS=example-Password1\n',
      ),
      file('example settings', 'app/.env.example', `DB_PASSWORD=${mixed(16)}\n`),
      file(
        'references',
        'app/deploy.yaml',
        'password: "{{ vault.db1_password }}"\ntoken: /run/secrets/token1\nsecret: ${DB_SECRET_1}\napi_key: !Ref ApiKey1\nclient_secret: env:CLIENT_SECRET9\n',
      ),
      file(
        'names in code',
        'app/auth.ts',
        "const passwordField = 'password-field1';\nconst token = readToken(request1);\nconst secretName = 'projects/x1/secrets/y2';\n",
      ),
      file(
        'schema',
        'app/schema.json',
        '{"password": {"type": "string", "minLength": 8}, "token": {"$ref": "#/defs/token1"}}',
      ),
      file(
        'settings about passwords',
        'etc/app.conf',
        'password_min_length=12\npassword_file=/etc/x/pw1\ntoken_url=https://x.example/t1\nsecret_name=app1-Secret\ntoken_ttl=3600s1h\n',
      ),
      file(
        'URL without password',
        'app/urls.txt',
        'https://ada@example.org/x\npostgres://app@db/app\nhttp://a:b@c\nssh://git@github.com:22/x\n',
      ),
      file(
        'URL of an example',
        'app/urls2.txt',
        'postgres://user:password@localhost/db\nhttps://user:hunter2@example.com/\nmysql://root:${PASS}@db/x\n',
      ),
      file(
        'message catalogue',
        'app/messages.properties',
        'login.password=Your password, at least 8 characters\nerror.token=Token expired (401)\n',
      ),
      file('CSS and HTML', 'app/x.html', '<input type="password" name="password" placeholder="Password1!">\n'),
      file('build numbers', 'app/build.ini', `commit=${sha('sha1', seed)}\nbuild_token_version=2024.11.21-rc1\n`),
      file(
        'public keys of SSH',
        'app/hosts.txt',
        `github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA${randomText(BASE62, 43)}\n`,
      ),
      file('fonts and source maps', 'app/x.js.map', `{"mappings":"${randomText(BASE62, 300)}"}`),
      file('a test’s key', 'app/node_modules/x/test/fixtures/settings.json', `{"password": "${mixed(20)}"}`),
    ];
  });
}
