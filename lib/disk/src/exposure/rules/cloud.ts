// What logs in to clouds, clusters, registries and build systems.
import { recognisePem } from '../private-keys.ts';
import { SHIPPED, type ExposureRule } from '../rule.ts';
import { counted } from '../sighting.ts';

export const CLOUD_RULES: readonly ExposureRule[] = [
  {
    id: 'aws-credentials',
    category: 'cloud',
    title: 'access keys of AWS',
    reason: 'they act as the person or program that they were made for, from anywhere',
    references: ['ATT&CK T1552.001', 'CWE-312'],
    worth: 80,
    paths: [
      '**/.aws/credentials',
      '**/.aws/config',
      '~/.s3cfg',
      '~/.boto',
      '/etc/boto.cfg',
      '/etc/passwd-s3fs',
      '~/.passwd-s3fs',
    ],
    recognise: ({ text }) =>
      counted(text, /^[ \t]*(?:aws_)?secret_(?:access_)?key[ \t]*=[ \t]*[A-Za-z0-9/+=]{30}/gim, 'access key') ??
      counted(text, /\bA[KS]IA[A-Z2-7]{16}:[A-Za-z0-9/+=]{40}/g, 'access key'),
  },
  {
    id: 'gcp-credentials',
    category: 'cloud',
    title: 'credentials of Google Cloud',
    reason: 'a service account’s key does not run out, and acts from anywhere',
    references: ['ATT&CK T1552.001', 'CWE-312'],
    worth: 80,
    paths: [
      '~/.config/gcloud/application_default_credentials.json',
      '~/.config/gcloud/credentials.db',
      '~/.config/gcloud/access_tokens.db',
      '~/.config/gcloud/legacy_credentials/*/adc.json',
      '**/*service*account*.json',
      '**/*credentials*.json',
      '**/*-key.json',
    ],
    except: SHIPPED,
    recognise: (content) => {
      if (/"private_key"\s{0,4}:\s{0,4}"-----BEGIN/.test(content.text)) return { detail: 'a service account’s key' };
      if (/"refresh_token"\s{0,4}:\s{0,4}"[^"]/.test(content.text)) return { detail: 'a refresh token' };
      return content.text.startsWith('SQLite format 3\0') ? { detail: 'a database of credentials' } : undefined;
    },
  },
  {
    id: 'azure-credentials',
    category: 'cloud',
    title: 'tokens of Azure',
    reason: 'they act as the person who logged in, until they are revoked',
    references: ['ATT&CK T1528', 'CWE-312'],
    worth: 70,
    paths: [
      '~/.azure/msal_token_cache.json',
      '~/.azure/accessTokens.json',
      '~/.azure/service_principal_entries.json',
      '~/.azure/azureProfile.json',
    ],
    recognise: ({ text }) =>
      counted(text, /"(?:secret|refreshToken|client_secret|accessToken)"\s{0,4}:\s{0,4}"[^"]/g, 'token'),
  },
  {
    id: 'cloud-tokens',
    category: 'cloud',
    title: 'tokens of other clouds and services',
    reason: 'they act as the person who logged in',
    references: ['ATT&CK T1552.001', 'CWE-312'],
    worth: 60,
    paths: [
      '~/.config/doctl/config.yaml',
      '~/.config/hcloud/cli.toml',
      '~/.config/rclone/rclone.conf',
      '~/.config/openstack/clouds.yaml',
      '/etc/openstack/clouds.yaml',
      '~/.oci/config',
      '~/.config/linode-cli',
      '~/.config/flyctl/config.yml',
      '~/.fly/config.yml',
      '~/.config/heroku/credentials.json',
      '~/.config/stripe/config.toml',
    ],
    recognise: ({ text }) =>
      counted(
        text,
        /^[ \t"]*(?:[\w-]{0,30}(?:token|pass|password|secret|key_file|api_key)[\w-]{0,20})"?[ \t]*[=:][ \t]*\S/gim,
        'secret',
      ),
  },
  {
    id: 'terraform-state',
    category: 'cloud',
    title: 'the state of Terraform',
    reason: 'it holds every generated password and key of what was built, in clear',
    references: ['CWE-312', 'ATT&CK T1552.001'],
    worth: 70,
    paths: [
      '**/terraform.tfstate',
      '**/*.tfstate',
      '**/terraform.tfstate.backup',
      '~/.terraform.d/credentials.tfrc.json',
      '**/terraform.tfvars',
    ],
    recognise: ({ text }) =>
      /"terraform_version"|"credentials"/.test(text)
        ? { detail: 'a state or its credentials' }
        : counted(text, /^[ \t]*\w{0,40}(?:secret|password|token)\w{0,40}[ \t]*=[ \t]*"[^"]/gim, 'secret'),
  },
  {
    id: 'kubernetes-config',
    category: 'cluster',
    title: 'credentials of a Kubernetes cluster',
    reason: 'they command the cluster with the rights of who they were made for',
    references: ['ATT&CK T1552.001', 'ATT&CK T1613'],
    worth: 80,
    paths: [
      '~/.kube/config',
      '/etc/kubernetes/*.conf',
      '/etc/rancher/k3s/k3s.yaml',
      '/etc/rancher/rke2/rke2.yaml',
      '/var/lib/k0s/pki/admin.conf',
      '/var/lib/kubelet/kubeconfig',
      '/var/lib/kubelet/bootstrap-kubeconfig',
      '/var/snap/microk8s/current/credentials/*.config',
    ],
    recognise: ({ text }) =>
      counted(text, /^[ \t-]*(?:client-key-data|client-key|token|password):[ \t]*\S/gm, 'credential'),
  },
  {
    id: 'kubernetes-keys',
    category: 'cluster',
    title: 'keys of a Kubernetes cluster',
    reason: 'the key of its certificate authority makes credentials for anybody',
    references: ['ATT&CK T1552.004'],
    worth: 90,
    paths: [
      '/etc/kubernetes/pki/*.key',
      '/etc/kubernetes/pki/etcd/*.key',
      '/var/lib/rancher/k3s/server/tls/*.key',
      '/var/lib/rancher/rke2/server/tls/*.key',
      '/var/lib/kubelet/pki/*.pem',
      '/var/lib/k0s/pki/*.key',
    ],
    recognise: recognisePem,
  },
  {
    id: 'cluster-secrets',
    category: 'cluster',
    title: 'secrets that a cluster keeps',
    reason: 'a cluster’s store holds every secret of what runs in it, in clear unless it was told otherwise',
    references: ['ATT&CK T1552.007'],
    worth: 80,
    paths: [
      '/var/lib/etcd/member/snap/db',
      '/var/lib/rancher/k3s/server/db/state.db',
      '/var/lib/rancher/k3s/server/token',
      '/var/lib/rancher/k3s/server/node-token',
      '/var/lib/docker/swarm/docker-state.json',
      '/var/lib/docker/swarm/certificates/swarm-node.key',
      '/var/lib/kubelet/pods/*/volumes/kubernetes.io~secret/*/*',
    ],
  },
  {
    id: 'registry-login',
    category: 'tokens',
    title: 'logins to container registries',
    reason: 'whoever can push an image decides what runs wherever it is pulled',
    references: ['ATT&CK T1552.001', 'ATT&CK T1525'],
    worth: 60,
    paths: [
      '~/.docker/config.json',
      '**/.dockercfg',
      '~/.config/containers/auth.json',
      '/var/lib/kubelet/config.json',
      '/run/containers/*/auth.json',
    ],
    recognise: ({ text }) => counted(text, /"(?:auth|identitytoken|password)"\s{0,8}:\s{0,8}"[^"]/g, 'login'),
  },
  {
    id: 'package-token',
    category: 'tokens',
    title: 'tokens that publish packages',
    reason: 'whoever publishes a package runs code wherever it is installed',
    references: ['ATT&CK T1195.001', 'ATT&CK T1552.001'],
    worth: 70,
    paths: [
      '~/.npmrc',
      '**/.npmrc',
      '~/.pypirc',
      '~/.gem/credentials',
      '~/.cargo/credentials',
      '~/.cargo/credentials.toml',
      '~/.config/composer/auth.json',
      '~/.m2/settings.xml',
      '~/.gradle/gradle.properties',
      '~/.nuget/NuGet/NuGet.Config',
    ],
    except: SHIPPED,
    recognise: ({ text }) =>
      counted(text, /(?:_authToken|_password|_auth)[ \t]*=[ \t]*[^\s${]/g, 'token') ??
      counted(text, /^[ \t]*(?::?\w{0,30}(?:password|token|api_key))[ \t]*[=:][ \t]*\S/gim, 'token') ??
      counted(
        text,
        /<(?:password|passphrase)>[^<]|"(?:github-oauth|http-basic|bearer)"\s{0,4}:\s{0,4}\{\s{0,80}"/g,
        'token',
      ),
  },
  {
    id: 'forge-token',
    category: 'tokens',
    title: 'tokens of code forges and build systems',
    reason: 'they read and write repositories, and start builds that hold further secrets',
    references: ['ATT&CK T1528', 'ATT&CK T1552.001'],
    worth: 70,
    paths: [
      '~/.config/gh/hosts.yml',
      '~/.config/hub',
      '~/.config/glab-cli/config.yml',
      '/etc/gitlab-runner/config.toml',
      '/etc/gitlab/gitlab-secrets.json',
      '/etc/gitlab/gitlab.rb',
      '**/.runner',
      '**/.credentials_rsaparams',
      '/var/lib/jenkins/secrets/master.key',
      '/var/lib/jenkins/secrets/hudson.util.Secret',
      '/var/lib/jenkins/credentials.xml',
      '~/.config/act/.secrets',
      '/etc/drone/*.env',
    ],
    recognise: (content) =>
      counted(
        content.text,
        /(?:oauth_token|token|secret_key_base|password|privateKey|"[dp]")["']?\]?[ \t]*[:=][ \t]*["']?[^\s"']{8}/gi,
        'token',
      ) ??
      counted(content.text, /<(?:secret|password|privateKey|apiToken)>/g, 'credential') ??
      (/^[0-9a-f]{256}\s*$/.test(content.text) ||
      (content.size > 0 && content.size <= 1024 && /[^\t\n\r -~]/.test(content.text))
        ? { detail: 'a master key' }
        : undefined),
  },
  {
    id: 'vault-token',
    category: 'tokens',
    title: 'tokens of a secret store',
    reason: 'they read what was put there so that it would lie on no disk',
    references: ['ATT&CK T1555'],
    worth: 80,
    paths: [
      '~/.vault-token',
      '/etc/vault.d/*.hcl',
      '~/.config/op/config',
      '/root/.vault-unseal*',
      '**/.vault_pass',
      '**/.vault_pass.txt',
      '~/.config/sops/age/keys.txt',
      '~/.age/*',
    ],
    recognise: ({ text }) =>
      counted(text, /\b(?:hvs|s|hvb)\.[A-Za-z0-9_-]{20}/g, 'token') ??
      counted(text, /AGE-SECRET-KEY-1[A-Z0-9]{20}/g, 'key') ??
      counted(text, /^[ \t]*token[ \t]*=[ \t]*"\S/gm, 'token') ??
      (/^\S{6,200}\s*$/.test(text) ? { detail: 'one secret' } : undefined),
  },
  {
    id: 'session-cookies',
    category: 'tokens',
    title: 'sessions of a browser and of messengers',
    reason: 'a session is a login that asks for no password and no second factor',
    references: ['ATT&CK T1539'],
    worth: 50,
    paths: [
      '**/cookies.sqlite',
      '**/Default/Cookies',
      '**/Default/Network/Cookies',
      '**/Local Storage/leveldb/*.ldb',
      '~/.config/Slack/storage/*',
      '~/.config/discord/Local Storage/leveldb/*.ldb',
    ],
    except: SHIPPED,
  },
];
