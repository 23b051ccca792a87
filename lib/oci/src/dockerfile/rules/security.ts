// Rules that hadolint has none for: code fetched and run unread, secrets, verification switched off, set-uid, the CIS
// Docker Benchmark's section 4 as far as a Dockerfile shows it.
import { simpleCommands } from '../../shell/walk.ts';
import type { Instruction } from '../instruction.ts';
import { commandsNamed, hasOption, verbOf } from './arguments.ts';
import { those } from './flaws.ts';
import type { Flaw, Rule } from './rule.ts';
import { baseName, type Command } from './view.ts';

const CIS = 'CIS Docker Benchmark 1.7';
const FETCHERS: ReadonlySet<string> = new Set(['curl', 'wget', 'fetch', 'aria2c', 'http', 'lynx']);
const INTERPRETERS = /^(?:(?:ba|da|z|k|a|fi)?sh|python[\d.]*|perl|ruby|node|php|pwsh|lua)$/;
/** Between the two they change nothing of what is run. */
const PASSES_ON: ReadonlySet<string> = new Set(['tee', 'cat', 'gunzip', 'zcat', 'tr', 'sed', 'base64', 'xz', 'gzip']);
const SECRET_NAME =
  /(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY(?:_ID)?|PRIVATE_?KEY|CREDENTIALS?|AUTH_?KEY)(?:$|_(?!FILE$|PATH$|URL$|NAME$|ID$))/i;
const SECRET_VALUE =
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bglpat-[\w-]{20}|\bxox[abprs]-[\w-]{10,}|\bnpm_[A-Za-z0-9]{36}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bsk_live_[A-Za-z0-9]{16,}|\/\/[^/\s:@]{1,64}:[^/\s:@$]{3,128}@/;

const isSwitch = (value: string): boolean => /^(?:|true|false|0|1|yes|no|none|null|changeme\?)$/i.test(value);

export const SECURITY_RULES: readonly Rule[] = [
  {
    id: 'RW2001',
    title: 'what is fetched is not run unread',
    severity: 'error',
    reason: 'whoever answers, or stands on the way, runs code as root in the build and in the image',
    reference: `${CIS}, 4.11; https://slsa.dev/spec/v1.1/threats`,
    fix: 'ADD --checksum=sha256:… https://example.com/install.sh /tmp/ and RUN sh /tmp/install.sh',
    cis: '4.11',
    *check({ runs }) {
      for (const run of runs) {
        for (const pipe of run.pipes) if (runsFetched(pipe)) yield { at: pipe[0]?.at ?? run.instruction.at };
        for (const command of run.commands) {
          // `sh -c "$(curl …)"`, `bash <(curl …)`, `eval "$(wget …)"`.
          const interprets = INTERPRETERS.test(command.name) || ['eval', 'source', '.'].includes(command.name);
          if (interprets && takesFetched(command)) yield { at: command.at };
        }
      }
    },
  },
  {
    id: 'RW2002',
    title: 'no passwords in a build',
    severity: 'error',
    reason: 'the password is in the history of the image, for everybody who pulls it',
    reference: `${CIS}, 4.10`,
    fix: 'authorised keys at run time; no password at all',
    cis: '4.10',
    check: (view) =>
      those(
        view.commands,
        (command) =>
          ['chpasswd', 'mkpasswd', 'htpasswd'].includes(command.name) ||
          (command.name === 'passwd' &&
            (hasOption(command, '--stdin', '-d', '--delete') ||
              command.run.pipes.some((pipe) => pipe.includes(command)))) ||
          (['useradd', 'usermod', 'adduser'].includes(command.name) &&
            command.args.some((arg) => arg === '-p' || arg.startsWith('--password'))),
      ),
  },
  {
    id: 'RW2004',
    title: 'no secrets in ENV, ARG or a command',
    severity: 'error',
    reason: 'they are in the configuration or the history of the image, for everybody who pulls it',
    reference: `${CIS}, 4.10; https://docs.docker.com/build/building/secrets/`,
    fix: 'RUN --mount=type=secret,id=token …',
    cis: '4.10',
    *check(view) {
      for (const instruction of view.file.instructions) {
        for (const each of [instruction, instruction.inner]) if (each !== undefined) yield* secretsIn(each);
      }
    },
  },
  {
    id: 'RW2005',
    title: 'packages are verified',
    severity: 'error',
    reason: 'the signature is what tells a package from what somebody put in its place',
    reference: `${CIS}, 4.11`,
    fix: 'leave the option out and add the key of the repository',
    cis: '4.11',
    *check(view) {
      for (const command of view.commands) {
        if (
          hasOption(
            command,
            '--allow-unauthenticated',
            '--allow-untrusted',
            '--nogpgcheck',
            '--no-gpg-checks',
            '--force-yes',
            '--allow-insecure-repositories',
            '--trusted-host',
            '--allow-unsigned-rpm',
          )
        )
          yield { at: command.at };
        else if (
          command.args.some(
            (arg) =>
              /trusted=yes|gpgcheck=0|strict-ssl[= ]false/i.test(arg) ||
              /^Acquire::.*(?:Allow|Verify).*(?:true|false)$/.test(arg),
          )
        )
          yield { at: command.at };
        else if (
          ['npm', 'yarn'].includes(command.name) &&
          command.args.includes('strict-ssl') &&
          command.args.includes('false')
        )
          yield { at: command.at };
      }
    },
  },
  {
    id: 'RW2006',
    title: 'no set-uid bits are given',
    severity: 'warning',
    reason: 'a fault in that program is a way from any user of the container to root',
    reference: `${CIS}, 4.8`,
    fix: 'RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +',
    cis: '4.8',
    check: (view) =>
      those(commandsNamed(view, ['chmod']), ({ args }) =>
        args.some((arg) => /^0?[2467]\d{3}$/.test(arg) || /^[ugoa]*[+=][rwxXt]*s/.test(arg)),
      ),
  },
  {
    id: 'RW2007',
    title: 'an index is fetched in the RUN that installs from it',
    severity: 'warning',
    reason: 'the layer with the index comes from the cache for weeks, and old packages are installed from it',
    reference: `${CIS}, 4.7`,
    fix: 'RUN apt-get update && apt-get install -y …',
    cis: '4.7',
    *check({ runs }) {
      for (const { commands, instruction } of runs) {
        const [first, ...others] = commands.filter(({ name }) => !['set', 'export', 'rm'].includes(name));
        const updates =
          first !== undefined &&
          /^(?:apt-get|apt|apk|yum|dnf)$/.test(first.name) &&
          ['update', 'makecache'].includes(verbOf(first) ?? '');
        if (updates && others.length === 0) yield { at: instruction.at };
      }
    },
  },
  {
    id: 'RW2009',
    title: 'certificates are checked',
    severity: 'error',
    reason: 'whoever stands on the way decides what is fetched',
    reference: `${CIS}, 4.11`,
    fix: 'curl --fail https://…',
    cis: '4.11',
    *check(view) {
      for (const command of view.commands) {
        const curl = command.name === 'curl' && hasOption(command, '-k', '--insecure');
        const wget = command.name === 'wget' && hasOption(command, '--no-check-certificate');
        const git = command.name === 'git' && command.args.some((arg) => /http\.sslVerify=(?:false|0)/i.test(arg));
        if (curl || wget || git) yield { at: command.at };
      }
      for (const { keyword, words, at } of view.file.instructions) {
        if (keyword !== 'ENV') continue;
        const off = words.some(({ text }) =>
          /^(?:NODE_TLS_REJECT_UNAUTHORIZED|PYTHONHTTPSVERIFY)=["']?0|^GIT_SSL_NO_VERIFY=/.test(text),
        );
        if (off) yield { at };
      }
    },
  },
  {
    id: 'RW2010',
    title: 'a RUN stays in its sandbox',
    severity: 'error',
    reason: 'it may do on the building host what its user may, or speak to whatever listens there',
    reference: 'https://docs.docker.com/reference/dockerfile/#run---security',
    fix: 'RUN --network=none …',
    *check({ runs }) {
      for (const { instruction } of runs) {
        for (const { name, value, at } of instruction.flags) {
          if ((name === 'security' && value === 'insecure') || (name === 'network' && value === 'host')) yield { at };
        }
      }
    },
  },
  {
    id: 'RW2011',
    title: 'nothing is made writable for everybody',
    severity: 'warning',
    reason: 'whoever takes over any process of the container can change it',
    reference: 'https://cwe.mitre.org/data/definitions/732.html',
    fix: 'chown 10001 FILE && chmod u=rwX,go=rX FILE',
    check: (view) =>
      those(commandsNamed(view, ['chmod']), ({ args }) =>
        args.some(
          (arg) =>
            (/^0?[0-7]?[0-7]{2}[2367]$/.test(arg) && !/^0?1/.test(arg.padStart(4, '0').slice(-4))) ||
            /^(?:[ug]*[oa][ugoa]*)?\+[rxXst]*w/.test(arg),
        ),
      ),
  },
];

function runsFetched(pipe: readonly Command[]): boolean {
  const from = pipe.findIndex(({ name }) => FETCHERS.has(name));
  if (from < 0) return false;
  for (const command of pipe.slice(from + 1)) {
    if (INTERPRETERS.test(command.name)) return !readsNoScript(command);
    if (command.name === 'xargs') return command.args.some((arg) => INTERPRETERS.test(arg));
    if (!PASSES_ON.has(command.name)) return false;
  }
  return false;
}

function takesFetched({ shell }: Command): boolean {
  const scripts = shell.words.flatMap(({ substitutions }) => substitutions);
  return scripts.some((script) =>
    simpleCommands(script).some(({ words }) => FETCHERS.has(baseName(words[0]?.value ?? ''))),
  );
}

/** `python -c …`, `node script.js`: what is piped in is data for it. */
function readsNoScript({ args, name }: Command): boolean {
  if (args.some((arg) => /^-[a-z]*[cem]$/.test(arg) && !(name.endsWith('sh') && arg === '-e'))) return true;
  const first = args.find((arg) => !arg.startsWith('-'));
  return first !== undefined && !args.includes('-s') && !/^(?:\/dev\/stdin|-)$/.test(first) && !args.includes('-');
}

function* secretsIn(instruction: Instruction): Iterable<Flaw> {
  const { keyword, words } = instruction;
  const [first, second] = words;
  const former = keyword === 'ENV' && first !== undefined && second !== undefined && !first.text.includes('=');
  const assigned = former ? [{ at: first.at, text: `${first.text}=${second.text}` }] : words;
  for (const { text, at } of keyword === 'ENV' || keyword === 'ARG' ? assigned : []) {
    const equals = text.indexOf('=');
    const value = text.slice(equals + 1).replaceAll(/["']/g, '');
    const name = equals < 0 ? text : text.slice(0, equals);
    if (equals >= 0 && SECRET_NAME.test(name) && !isSwitch(value) && !/^\$|^\/|^<.*>$/.test(value))
      yield { at, detail: `“${name}” has a value` };
  }
  const place = SECRET_VALUE.exec(instruction.rest.text);
  if (place !== null) yield { at: instruction.rest.positionAt(place.index), detail: 'a secret is written out' };
}
