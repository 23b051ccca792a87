// Secrets that are recognised by their form, wherever they stand. Each pattern begins with a fixed text, so that a file is
// searched as fast as for a word; what it matches is checked, as far as its issuer lets anybody check.
import { hasCrc32Suffix, holdsKey, isBech32, isRandom, isSignedJwt } from './token-checksums.ts';

export interface TokenFormat {
  /** Kebab-case, for good. */
  readonly id: string;
  /** As in “a … is in the image”. */
  readonly title: string;
  /** Global, and linear: no repetition inside another. */
  readonly pattern: RegExp;
  /** Whether it is more than the form. */
  readonly isReal: (match: RegExpMatchArray) => boolean;
  /** `sure` where a checksum or the structure of the contents says so. */
  readonly certainty: 'sure' | 'likely';
}

/** Names of issuers' documentation for their formats stand in docs/images.md. */
export const TOKEN_FORMATS: readonly TokenFormat[] = [
  {
    id: 'private-key',
    title: 'private key',
    pattern: /-----BEGIN ([A-Z0-9 ]{0,24})PRIVATE KEY(?: BLOCK)?-----((?:[^-]|-(?!-)){40,16384})-----END /g,
    isReal: ([, label = '', body = '']) => holdsKey(label.trim(), body),
    certainty: 'sure',
  },
  {
    id: 'github-token',
    title: 'token of GitHub',
    pattern: /\bgh[pousr]_[A-Za-z0-9]{36}\b/g,
    isReal: ([token]) => hasCrc32Suffix(token, 'ghp_'),
    certainty: 'sure',
  },
  {
    id: 'github-fine-grained-token',
    title: 'fine-grained token of GitHub',
    pattern: /\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b/g,
    isReal: ([token]) => isRandom(token.slice(11)),
    certainty: 'likely',
  },
  {
    id: 'npm-token',
    title: 'token of npm',
    pattern: /\bnpm_[A-Za-z0-9]{36}\b/g,
    isReal: ([token]) => hasCrc32Suffix(token, 'npm_'),
    certainty: 'sure',
  },
  {
    id: 'gitlab-token',
    title: 'token of GitLab',
    pattern: /\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{20,64}\b/g,
    isReal: ([token]) => isRandom(token.slice(token.indexOf('-') + 1)),
    certainty: 'likely',
  },
  {
    id: 'aws-key',
    title: 'access key of AWS with its secret',
    pattern: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b[\s\S]{1,200}?(?<![A-Za-z0-9/+=])([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/g,
    isReal: ([all, secret = '']) => isRandom(secret) && !/EXAMPLE/.test(all),
    certainty: 'likely',
  },
  {
    id: 'google-api-key',
    title: 'API key of Google',
    pattern: /\bAIza[\w-]{35}(?![\w-])/g,
    isReal: ([token]) => isRandom(token.slice(4)),
    certainty: 'likely',
  },
  {
    id: 'slack-token',
    title: 'token of Slack',
    pattern: /\bxox[abpres]-(?:\d{8,14}-){1,3}[A-Za-z0-9]{16,40}\b/g,
    isReal: ([token]) => isRandom(token.slice(token.lastIndexOf('-') + 1)),
    certainty: 'likely',
  },
  {
    id: 'slack-webhook',
    title: 'webhook of Slack',
    pattern: /hooks\.slack\.com\/services\/T[A-Z0-9]{8,12}\/B[A-Z0-9]{8,12}\/([A-Za-z0-9]{24})\b/g,
    isReal: ([, secret = '']) => isRandom(secret),
    certainty: 'likely',
  },
  {
    id: 'stripe-key',
    title: 'live key of Stripe',
    pattern: /\b[sr]k_live_[A-Za-z0-9]{24,99}\b/g,
    isReal: ([token]) => isRandom(token.slice(8)),
    certainty: 'likely',
  },
  {
    id: 'sendgrid-key',
    title: 'key of SendGrid',
    pattern: /\bSG\.[\w-]{22}\.([\w-]{43})(?![\w-])/g,
    isReal: ([, secret = '']) => isRandom(secret),
    certainty: 'likely',
  },
  {
    id: 'pypi-token',
    title: 'token of PyPI',
    // The first bytes of a macaroon whose location is pypi.org.
    pattern: /\bpypi-AgEIcHlwaS5vcmc([\w-]{50,250})/g,
    isReal: ([, secret = '']) => isRandom(secret),
    certainty: 'sure',
  },
  {
    id: 'openai-key',
    title: 'key of OpenAI',
    pattern: /\bsk-(?:proj-|svcacct-|admin-)?[\w-]{20,100}T3BlbkFJ[\w-]{20,100}/g,
    isReal: ([token]) => isRandom(token.slice(3)),
    certainty: 'sure',
  },
  {
    id: 'anthropic-key',
    title: 'key of Anthropic',
    pattern: /\bsk-ant-(?:api|admin)\d\d-[\w-]{80,110}AA\b/g,
    isReal: ([token]) => isRandom(token.slice(13)),
    certainty: 'sure',
  },
  {
    id: 'digitalocean-token',
    title: 'token of DigitalOcean',
    pattern: /\bdo[opr]_v1_([a-f0-9]{64})\b/g,
    isReal: ([, secret = '']) => new Set(secret).size > 9,
    certainty: 'likely',
  },
  {
    id: 'hugging-face-token',
    title: 'token of Hugging Face',
    pattern: /\bhf_[A-Za-z0-9]{34}\b/g,
    isReal: ([token]) => isRandom(token.slice(3)),
    certainty: 'likely',
  },
  {
    id: 'vault-token',
    title: 'token of Vault',
    pattern: /\bhv[sbr]\.[\w-]{24,200}/g,
    isReal: ([token]) => isRandom(token.slice(4)),
    certainty: 'likely',
  },
  {
    id: 'age-key',
    title: 'key of age',
    pattern: /\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}\b/g,
    isReal: ([token]) => isBech32(token),
    certainty: 'sure',
  },
  {
    id: 'telegram-token',
    title: 'token of a Telegram bot',
    pattern: /api\.telegram\.org\/bot\d{8,10}:AA([\w-]{33})(?![\w-])/g,
    isReal: ([, secret = '']) => isRandom(secret),
    certainty: 'likely',
  },
  {
    id: 'jwt',
    title: 'signed web token (JWT)',
    pattern: /\beyJ[\w-]{10,1000}\.eyJ[\w-]{4,8000}\.[\w-]{22,1000}(?![\w-])/g,
    isReal: ([token]) => isSignedJwt(token),
    certainty: 'likely',
  },
  {
    id: 'password-in-url',
    title: 'password in a URL',
    pattern:
      /\b(?:https?|ftps?|postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|smtps?|ldaps?|mssql):\/\/[^\s:/?#@"'<>${}]{0,64}:([^\s:/?#@"'<>${}()%*]{6,128})@([a-z0-9][a-z0-9.-]{1,252})/gi,
    isReal: ([, password = '', host = '']) =>
      !/^(?:pass(?:w(?:or)?d)?|secret|user(?:name)?|changeme|x+|\.+|token|pwd|my\w*|your\w*|example|test|admin|guest|foobar|hunter2)\d{0,4}$/i.test(
        password,
      ) && !/(?:^|\.)example(?:\.|$)|^(?:host(?:name)?|server|domain|foo|bar|proxy)(?:\.|$)/i.test(host),
    certainty: 'likely',
  },
];
