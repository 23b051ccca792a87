// Names that are meant to be taken for others, written by hand after what has been seen on public registries, and made by
// the rules that typo-squatters follow; with the tenant whose history they aim at.

/** What the tenant of the corpus has run. */
export const HISTORY: readonly string[] = `
registry.acme.internal:5000/payments/api:2.1 registry.acme.internal:5000/payments/ledger:2.0
registry.acme.internal:5000/billing-core:7 registry.acme.internal:5000/platform/ingress-gateway:1.4
harbor.acme.example/ml/feature-store:3 acmeprod.azurecr.io/web/storefront:9
123456789012.dkr.ecr.eu-central-1.amazonaws.com/identity/session-broker:11
ghcr.io/acme-industries/telemetry-agent:0.9 scope.example/tools/probe:1 acmecorp/edge-router:5 nginx:1.29 python:3.13-slim grafana/grafana:12.1
`
  .trim()
  .split(/\s+/);

/** Honest names of the same tenant that its history does not hold: siblings, new teams, other tags. */
export const HONEST_NEWCOMERS: readonly string[] = `
registry.acme.internal:5000/payments/refunds registry.acme.internal:5000/payments/api:2.2
registry.acme.internal:5000/search/indexer registry.acme.internal:5000/platform/egress-gateway
harbor.acme.example/ml/model-server acmeprod.azurecr.io/web/checkout
123456789012.dkr.ecr.us-east-1.amazonaws.com/identity/session-broker ghcr.io/acme-industries/dashboards
acmecorp/edge-router:6 acmecorp/edge-monitor nginx:1.30 nginx:stable-alpine python:3.14-slim python:3.13-slim-bookworm
grafana/grafana:12.2 redis:8.2 node:24-alpine postgres:18-trixie localhost:5000/dev/api localhost/test 10.0.0.5:5000/api
golang:1.25-bookworm ubuntu:24.04 debian:trixie-slim alpine:3.22 busybox:1.37-musl eclipse-temurin:21-jre-noble
registry.acme.internal:5000/library/nginx registry.acme.internal:5000/mirror/redis nextcloud:31-fpm traefik:v3.5
`
  .trim()
  .split(/\s+/);

/** Written by hand: the attack and, where it is certain, what was meant. */
export const HAND_WRITTEN_ATTACKS: readonly (readonly [attack: string, meant?: string])[] = [
  // Official names, mistyped.
  ...pairs(`ngnix=nginx nginxx=nginx ngin=nginx nginz=nginx nignx=nginx nqinx=nginx nginx1.29 ubunut=ubuntu ubntu=ubuntu
    ubunto=ubuntu ubuntuu=ubuntu ubumtu=ubuntu ubutnu=ubuntu debain=debian deiban=debian debiann=debian alpien=alpine
    alipne=alpine alpin=alpine apline=alpine busybx=busybox bussybox=busybox busibox=busybox pyhton=python pytohn=python
    pyton=python phyton=python pythn=python pythom=python posgres=postgres postgre=postgres postgress=postgres
    postgers=postgres psotgres=postgres mysq1=mysql mysqll=mysql myslq=mysql msyql=mysql mariabd=mariadb maraidb=mariadb
    mariadbb=mariadb redsi=redis reids=redis rediss=redis rdis=redis mongoo=mongo monog=mongo memcahced=memcached
    memcache=memcached memcachd=memcached wordpres=wordpress worpress=wordpress wordperss=wordpress worldpress=wordpress
    golnag=golang goland=golang gloang=golang traefic=traefik treafik=traefik trafik=traefik tomact=tomcat tomcta=tomcat
    jenkin=jenkins jenkisn=jenkins jekins=jenkins elasticsearh=elasticsearch elasticseach=elasticsearch
    elasticsaerch=elasticsearch elastisearch=elasticsearch kibnaa=kibana kibanna=kibana logstahs=logstash
    rabbimq=rabbitmq rabbitqm=rabbitmq rabitmq=rabbitmq haproxi=haproxy hapoxy=haproxy sonarqub=sonarqube
    sonarcube=sonarqube nextclod=nextcloud nextcluod=nextcloud cassandar=cassandra casandra=cassandra influxbd=influxdb
    influxd=influxdb telegarf=telegraf zookeper=zookeeper zoo-keeper=zookeeper mongoexpress=mongo-express
    mongo_express=mongo-express eclipse-temurn=eclipse-temurin eclipsetemurin=eclipse-temurin helloworld=hello-world
    hello_world=hello-world amazonlinx=amazonlinux amazon-linux=amazonlinux almalinx=almalinux rockylinx=rockylinux
    rocky-linux=rockylinux archlinx=archlinux arch-linux=archlinux fedroa=fedora centso=centos registery=registry
    regsitry=registry buildpack-dep=buildpack-deps couchbd=couchdb couchebase=couchbase rethinkbd=rethinkdb`),
  // Below a namespace of somebody's own.
  ...pairs(`evil/ngnix=nginx someone/pyhton=python x9/postgers=postgres team7/elasticsaerch=elasticsearch dev/memcahced=memcached
    abc/mariabd=mariadb user123/rabbitqm=rabbitmq foo/wordperss=wordpress bar/traefki=traefik qq/jenkisn=jenkins
    zz/cassandar=cassandra ghcr.io/evil/pyhton=python free/nextcluod=nextcloud`),
  // Publishers, imitated.
  ...pairs(`bitnarni/redis=bitnami/redis bitmani/redis=bitnami/redis bitnamii/redis=bitnami/redis bitnmai/kafka=bitnami/kafka
    bitnaml/kafka=bitnami/kafka bitnam/nginx=bitnami/nginx grafanna/grafana=grafana/grafana grafan/grafana=grafana/grafana
    garfana/loki=grafana/loki grafana1/grafana hashicrop/vault=hashicorp/vault hashicorpp/terraform=hashicorp/terraform
    hashlcorp/consul=hashicorp/consul hashi-corp/vault=hashicorp/vault linuxsever/plex=linuxserver/plex
    linuxserver-io/plex linux-server/sonarr=linuxserver/sonarr 1inuxserver/radarr=linuxserver/radarr
    portianer/portainer-ce=portainer/portainer-ce portaner/agent=portainer/agent rancer/rancher=rancher/rancher
    ranchr/k3s=rancher/k3s gitlba/gitlab-ce=gitlab/gitlab-ce git-lab/gitlab-runner=gitlab/gitlab-runner
    tensorfow/tensorflow=tensorflow/tensorflow tensor-flow/tensorflow=tensorflow/tensorflow pytroch/pytorch=pytorch/pytorch
    nvidla/cuda=nvidia/cuda nvida/cuda=nvidia/cuda confluentlnc/cp-kafka=confluentinc/cp-kafka datadgo/agent=datadog/agent
    datad0g/agent=datadog/agent localstak/localstack=localstack/localstack local-stack/localstack=localstack/localstack
    sonatpye/nexus3=sonatype/nexus3 minlo/minio=minio/minio timescal/timescaledb=timescale/timescaledb
    cirleci/node=circleci/node circlecl/python=circleci/python seleniun/standalone-chrome=selenium/standalone-chrome
    vaultwardn/server=vaultwarden/server vault-warden/server=vaultwarden/server homeasistant/home-assistant=homeassistant/home-assistant
    home-assistant/home-assistant jellyfn/jellyfin=jellyfin/jellyfin pihloe/pihole=pihole/pihole cloudfalre/cloudflared
    olama/ollama=ollama/ollama ollamaa/ollama=ollama/ollama envoyproxi/envoy=envoyproxy/envoy apahce/airflow=apache/airflow
    apcahe/kafka=apache/kafka amzon/aws-cli=amazon/aws-cli amazom/aws-cli=amazon/aws-cli
    quay.io/promethues/prometheus=quay.io/prometheus/prometheus quay.io/jetsatck/cert-manager-controller
    gcr.io/distrolless/static=gcr.io/distroless/static gcr.io/distorless/base=gcr.io/distroless/base
    ghcr.io/fluxdc/source-controller ghcr.io/home-asistant/home-assistant mcr.microsoft.com/dotnet/skd
    docker.elastic.co/elasticsaerch/elasticsearch`),
  // The home of the official images, imitated.
  ...pairs(`libary/nginx=nginx librray/python=python librarry/redis=redis 1ibrary/ubuntu=ubuntu iibrary/debian=debian
    librarys/node=node docker-library/nginx dockerlibrary/redis docker-official/nginx=nginx dockerhub-official/python
    official-docker/node docker-hub/alpine`),
  // A claim in the name.
  ...pairs(`nginx-official=nginx official-nginx=nginx python-official=python redis-original=redis real-ubuntu=ubuntu
    postgres-verified=postgres trusted-debian=debian nginx-latest=nginx node-latest=node mysql-secure=mysql
    evil/nginx-official=nginx evil/official-redis=redis x/genuine-python=python x/postgres-verified=postgres
    nginx-official/nginx=nginx officialnginx/nginx=nginx redis-official/redis=redis mysql-verified/mysql=mysql
    bitnami-official/redis=bitnami/redis grafana-official/grafana=grafana/grafana real-python/python official-postgres/postgres
    hashicorp-official/vault=hashicorp/vault verified-wordpress/wordpress nginx-team/nginx docker-nginx/nginx
    offical-node/node python3=python node-alpine=node python-slim=python jdk-openjdk`),
  // Namespace and name, divided otherwise, and the owner left out.
  ...pairs(`bitnami-redis=bitnami/redis bitnamiredis=bitnami/redis grafana-grafana=grafana/grafana hashicorp-vault=hashicorp/vault
    prom-prometheus=prom/prometheus jenkins-jenkins=jenkins/jenkins portainer-ce=portainer/portainer-ce
    linuxserver-plex=linuxserver/plex minio-minio=minio/minio gitlab-ce=gitlab/gitlab-ce ollama=ollama/ollama
    terraform=hashicorp/terraform prometheus pgadmin4=dpage/pgadmin4 redis/bitnami=bitnami/redis vault/hashicorp=hashicorp/vault
    loki/grafana=grafana/loki acmecorp-edge-router=acmecorp/edge-router edge-router/acmecorp=acmecorp/edge-router`),
  // Hosts.
  ...pairs(`ghrc.io/actions/actions-runner=ghcr.io/actions/actions-runner ghcr.com/acme-industries/telemetry-agent
    ghcr.co/a/b ghcr.i0/a/b gchr.io/a/b ghcr-io.com/a/b ghcr.io.evil.example/a/b gh-cr.io/a/b ghcrr.io/a/b quey.io/coreos/etcd
    qauy.io/coreos/etcd quay.com/coreos/etcd quay.lo/coreos/etcd quay-io.net/coreos/etcd quayy.io/coreos/etcd dokcer.io/library/nginx=nginx
    docker.oi/library/nginx dockr.io/library/nginx=nginx docker.com/library/nginx=nginx hub.docker.com/nginx docker.co/library/nginx
    d0cker.io/library/nginx=nginx docker.io.pull.example/library/nginx docker-io.example/library/nginx
    docker-registry.io/library/nginx dockerhub.io/library/redis registry-docker.com/library/redis quay-registry.com/coreos/etcd
    grc.io/distroless/static gcr.lo/distroless/static gcr-io.com/distroless/base mcr.micros0ft.com/dotnet/sdk mcr.rnicrosoft.com/dotnet/sdk
    mcr.microsoft.co/dotnet/sdk mcr.microsofft.com/dotnet/sdk mcr.mircosoft.com/dotnet/sdk registry.k8s.com/pause registry.k8.io/pause
    regsitry.k8s.io/pause registry.gitlab.co/gitlab-org/x registry.gitlabb.com/gitlab-org/x docker.elastic.com/kibana/kibana
    nvcr.com/nvidia/cuda public.ecr.avvs/lambda/python lscr.lo/linuxserver/plex     registry.acme.internal.evil.example/payments/api registry.acme.intemal:5000/payments/api
    registry.acne.internal:5000/payments/api registry-acme-internal.example/payments/api
    harbor.acme.exarnple/ml/feature-store harbor.acme.com/ml/feature-store acmepord.azurecr.io/web/storefront
    acmeprod.azurecr.com/web/storefront acme-prod.azurecr.io/web/storefront acmeprood.azurecr.io/web/storefront
    123456789021.dkr.ecr.eu-central-1.amazonaws.com/identity/session-broker`),
  // The registry left out.
  ...pairs(`ghcr/acme-industries/telemetry-agent=ghcr.io/acme-industries/telemetry-agent ghcr-io/actions/actions-runner
    ghcrio/fluxcd/source-controller quay/coreos/etcd=quay.io/coreos/etcd quayio/prometheus/prometheus gcr/distroless/static
    gcrio/distroless/static distroless/static=gcr.io/distroless/static mcr/dotnet/sdk=mcr.microsoft.com/dotnet/sdk
    dotnet/sdk=mcr.microsoft.com/dotnet/sdk nvcr/nvidia/pytorch lscr/linuxserver/plex ubi9/ubi`),
  // What is known from a private registry, asked of a public one.
  ...pairs(`payments/api=registry.acme.internal:5000/payments/api payments/ledger=registry.acme.internal:5000/payments/ledger
    billing-core=registry.acme.internal:5000/billing-core platform/ingress-gateway=registry.acme.internal:5000/platform/ingress-gateway
    ml/feature-store=harbor.acme.example/ml/feature-store web/storefront=acmeprod.azurecr.io/web/storefront ghcr.io/payments/api
    quay.io/payments/ledger identity/session-broker evil/billing-core evil/ingress-gateway someone/feature-store
    ghcr.io/evil/session-broker acme-industries/telemetry-agent`),
  // The tenant's own names, mistyped.
  ...pairs(`acmecrop/edge-router=acmecorp/edge-router acmecorpp/edge-router=acmecorp/edge-router acme-corp/edge-router=acmecorp/edge-router
    acmecorp/egde-router=acmecorp/edge-router acmecorp/edgerouter=acmecorp/edge-router
    ghcr.io/acme-industires/telemetry-agent=ghcr.io/acme-industries/telemetry-agent
    ghcr.io/acmeindustries/telemetry-agent=ghcr.io/acme-industries/telemetry-agent
    ghcr.io/acme-lndustries/telemetry-agent=ghcr.io/acme-industries/telemetry-agent
    registry.acme.internal:5000/paymnets/api registry.acme.internal:5000/payments/ldeger`),
  // Tags.
  ...pairs(`nginx:latets=nginx:latest nginx:lastest=nginx:latest nginx:1atest=nginx:latest python:3.13-sllim=python:3.13-slim
    python:3.l3-slim=python:3.13-slim nginx:l.29=nginx:1.29 redis:alpnie=redis:alpine postgres:bookwrom=postgres:bookworm`),
  // Letters of other alphabets.
  ['ѕсоре.example/tools/probe', 'scope.example/tools/probe'],
  ['nginх', 'nginx'],
  ['рython', 'python'],
  ['rеdis', 'redis'],
  ['grаfana/grafana', 'grafana/grafana'],
  ['dосker.io/library/nginx', 'nginx'],
  ['ｎginx', 'nginx'],
  ['ngi\u200bnx', 'nginx'],
];

/** One slip each in names that are known, as typo-squatters make them. Always the same ones. */
export function generatedAttacks(names: readonly string[]): readonly (readonly [attack: string, meant: string])[] {
  const known = new Set(names);
  return names.flatMap((name, index) => {
    const slips = [swap, double, drop, neighbour, lookAlike];
    const at = 1 + (index % Math.max(1, name.length - 2));
    return [slips[index % slips.length], slips[(index + 2) % slips.length]]
      .flatMap((slip) => (slip === undefined ? [] : [slip(name, at)]))
      .filter((attack) => attack !== name && !known.has(attack))
      .map((attack): [string, string] => [attack, name]);
  });
}

function swap(name: string, at: number): string {
  return name.slice(0, at) + (name[at + 1] ?? '') + (name[at] ?? '') + name.slice(at + 2);
}

function double(name: string, at: number): string {
  return name.slice(0, at) + (name[at] ?? '') + name.slice(at);
}

function drop(name: string, at: number): string {
  return name.slice(0, at) + name.slice(at + 1);
}

const RIGHT_OF: Readonly<Record<string, string>> = { a: 's', e: 'r', i: 'o', n: 'm', o: 'p', r: 't', s: 'd', t: 'y' };
function neighbour(name: string, at: number): string {
  return name.slice(0, at) + (RIGHT_OF[name[at] ?? ''] ?? name[at] ?? '') + name.slice(at + 1);
}

const SEEN_AS: readonly (readonly [string, string])[] = [
  ['l', '1'],
  ['o', '0'],
  ['m', 'rn'],
  ['i', 'l'],
  ['w', 'vv'],
  ['s', '5'],
];
function lookAlike(name: string): string {
  const [letter, other] = SEEN_AS.find(([seen]) => name.includes(seen)) ?? ['', ''];
  return letter === '' ? name : name.replace(letter, other);
}

function pairs(text: string): readonly (readonly [attack: string, meant?: string])[] {
  return text
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [attack = '', meant] = entry.split('=');
      return meant === undefined ? [attack] : [attack, meant];
    });
}
