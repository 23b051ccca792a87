// Registries, publishers and images that a great many people use: what a look-alike would imitate, beside the official
// images. Data, from the registries' own public pages (November 2026); being absent here says nothing against a name.

/** Anybody may publish on these, or they belong to one well-known publisher. Other hosts are taken for private. */
export const PUBLIC_REGISTRIES: readonly string[] = `
docker.io registry-1.docker.io ghcr.io quay.io gcr.io us.gcr.io eu.gcr.io asia.gcr.io mirror.gcr.io registry.k8s.io k8s.gcr.io
mcr.microsoft.com public.ecr.aws registry.gitlab.com docker.elastic.co nvcr.io registry.access.redhat.com
registry.redhat.io registry.fedoraproject.org registry.suse.com registry.opensuse.org lscr.io cgr.dev icr.io us.icr.io
container-registry.oracle.com docker.pkg.github.com registry.opensource.zalan.do docker.n8n.io cr.l5d.io cr.fluentbit.io
cr.weaviate.io codeberg.org registry.connect.redhat.com dhi.io docker.jfrog.io releases-docker.jfrog.io
registry.developers.crunchydata.com docker.getcollate.io registry.ollama.ai
`
  .trim()
  .split(/\s+/);

/** Below these each customer has a host of its own: a neighbour there is somebody else. */
export const SHARED_REGISTRY_SUFFIXES: readonly string[] = [
  'azurecr.io',
  'amazonaws.com',
  'pkg.dev',
  'gitlab.io',
  'jfrog.io',
  'docker.scarf.sh',
  'cr.aliyuncs.com',
  'ocir.io',
  'registry.cloud.yandex.net',
];

/** Where people look for the default registry, and none answers. */
export const MISTAKEN_FOR_DOCKER_HUB: readonly string[] = [
  'docker.com',
  'hub.docker.com',
  'hub.docker.io',
  'registry.docker.com',
  'www.docker.com',
  'dockerhub.com',
  'dockerhub.io',
];

/** Familiar names. */
export const WELL_KNOWN_IMAGES: readonly string[] = `
bitnami/redis bitnami/postgresql bitnami/mongodb bitnami/kafka bitnami/nginx bitnami/mariadb bitnami/rabbitmq
bitnami/kubectl bitnami/wordpress bitnami/elasticsearch bitnami/minio bitnami/zookeeper bitnami/etcd bitnamilegacy/redis
grafana/grafana grafana/loki grafana/promtail grafana/tempo grafana/mimir grafana/agent grafana/k6 grafana/alloy
prom/prometheus prom/node-exporter prom/alertmanager prom/pushgateway prom/blackbox-exporter prom/mysqld-exporter
hashicorp/terraform hashicorp/vault hashicorp/consul hashicorp/packer hashicorp/nomad hashicorp/boundary
linuxserver/plex linuxserver/sonarr linuxserver/radarr linuxserver/jackett linuxserver/wireguard linuxserver/swag
linuxserver/nextcloud linuxserver/transmission linuxserver/qbittorrent linuxserver/code-server linuxserver/bazarr
portainer/portainer-ce portainer/agent rancher/rancher rancher/k3s rancher/server rancher/shell minio/minio minio/mc
jenkins/jenkins jenkins/inbound-agent jenkins/agent sonatype/nexus3 gitlab/gitlab-ce gitlab/gitlab-ee gitlab/gitlab-runner
gitea/gitea rocker/rstudio jupyter/base-notebook jupyter/scipy-notebook jupyter/datascience-notebook tensorflow/tensorflow
tensorflow/serving pytorch/pytorch nvidia/cuda nvidia/k8s-device-plugin huggingface/transformers-pytorch-gpu
apache/airflow apache/kafka apache/spark apache/superset apache/nifi apache/druid apache/flink confluentinc/cp-kafka
confluentinc/cp-zookeeper confluentinc/cp-schema-registry redis/redis-stack redis/redisinsight redislabs/redismod redis/redis-stack-server
nginxinc/nginx-unprivileged nginx/nginx-ingress nginxdemos/hello nginxproxy/nginx-proxy nginxproxy/acme-companion
jwilder/nginx-proxy envoyproxy/envoy istio/proxyv2 istio/pilot calico/node calico/cni cilium/cilium flannel/flannel
coredns/coredns amazon/aws-cli amazon/cloudwatch-agent amazon/dynamodb-local localstack/localstack google/cloud-sdk
datadog/agent newrelic/infrastructure dynatrace/oneagent fluent/fluentd fluent/fluent-bit otel/opentelemetry-collector
otel/opentelemetry-collector-contrib jaegertracing/all-in-one openzipkin/zipkin timberio/vector influxdata/influxdb
timescale/timescaledb postgis/postgis pgvector/pgvector dpage/pgadmin4 mysql/mysql-server percona/percona-server
clickhouse/clickhouse-server cockroachdb/cockroach scylladb/scylla yugabytedb/yugabyte dgraph/dgraph surrealdb/surrealdb
opensearchproject/opensearch opensearchproject/opensearch-dashboards getmeili/meilisearch typesense/typesense
qdrant/qdrant milvusdb/milvus semitechnologies/weaviate chromadb/chroma ollama/ollama n8nio/n8n nodered/node-red
homeassistant/home-assistant pihole/pihole adguard/adguardhome vaultwarden/server bitwarden/self-host
authelia/authelia keycloak/keycloak oryd/hydra casbin/casdoor louislam/uptime-kuma containrrr/watchtower amir20/dozzle
filebrowser/filebrowser jellyfin/jellyfin plexinc/pms-docker syncthing/syncthing photoprism/photoprism
docker/dockerfile docker/compose docker/buildkit docker/desktop-kubernetes moby/buildkit tonistiigi/binfmt
aquasec/trivy anchore/grype anchore/syft hadolint/hadolint koalaman/shellcheck goharbor/harbor-core
alpine/git alpine/helm alpine/k8s alpine/curl curlimages/curl mikefarah/yq lachlanevenson/k8s-kubectl
selenium/standalone-chrome selenium/hub selenium/node-chrome cypress/included cypress/base browserless/chrome
circleci/node circleci/python cimg/base cimg/node cimg/python drone/drone woodpeckerci/woodpecker-server
sonarsource/sonar-scanner-cli mattermost/mattermost-team-edition rocketchat/rocket.chat metabase/metabase
redash/redash directus/directus strapi/strapi hasura/graphql-engine supabase/postgres appwrite/appwrite
kong/kong traefik/whoami traefik/traefik caddy/caddy haproxytech/haproxy-alpine openresty/openresty
eclipse/che emqx/emqx vernemq/vernemq hivemq/hivemq4 rabbitmqoperator/cluster-operator natsio/nats-box
mcp/fetch mcp/github mcp/playwright unsloth/unsloth vllm/vllm-openai
ghcr.io/home-assistant/home-assistant ghcr.io/linuxserver/plex ghcr.io/open-webui/open-webui ghcr.io/actions/actions-runner
ghcr.io/fluxcd/source-controller ghcr.io/cloudnative-pg/cloudnative-pg ghcr.io/dexidp/dex ghcr.io/kyverno/kyverno
ghcr.io/astral-sh/uv ghcr.io/immich-app/immich-server ghcr.io/paperless-ngx/paperless-ngx ghcr.io/goauthentik/server
quay.io/prometheus/prometheus quay.io/prometheus/node-exporter quay.io/coreos/etcd quay.io/jetstack/cert-manager-controller
quay.io/argoproj/argocd quay.io/keycloak/keycloak quay.io/podman/stable quay.io/ceph/ceph quay.io/strimzi/operator
quay.io/minio/minio quay.io/cilium/cilium quay.io/fedora/fedora quay.io/centos/centos quay.io/jupyter/base-notebook
gcr.io/distroless/static gcr.io/distroless/base gcr.io/distroless/cc gcr.io/distroless/java17 gcr.io/distroless/nodejs20
gcr.io/distroless/python3 gcr.io/distroless/static-debian12 gcr.io/distroless/base-debian12 gcr.io/kaniko-project/executor
gcr.io/cadvisor/cadvisor gcr.io/google-containers/pause registry.k8s.io/pause registry.k8s.io/kube-apiserver
registry.k8s.io/etcd registry.k8s.io/coredns/coredns registry.k8s.io/ingress-nginx/controller
registry.k8s.io/metrics-server/metrics-server mcr.microsoft.com/dotnet/sdk mcr.microsoft.com/dotnet/aspnet
mcr.microsoft.com/dotnet/runtime mcr.microsoft.com/mssql/server mcr.microsoft.com/playwright mcr.microsoft.com/azure-cli
mcr.microsoft.com/devcontainers/base mcr.microsoft.com/powershell public.ecr.aws/lambda/python public.ecr.aws/docker/library/nginx
public.ecr.aws/amazonlinux/amazonlinux docker.elastic.co/elasticsearch/elasticsearch docker.elastic.co/kibana/kibana
docker.elastic.co/beats/filebeat nvcr.io/nvidia/pytorch nvcr.io/nvidia/cuda registry.access.redhat.com/ubi9/ubi
registry.access.redhat.com/ubi8/ubi-minimal lscr.io/linuxserver/plex lscr.io/linuxserver/sonarr cgr.dev/chainguard/static
cgr.dev/chainguard/wolfi-base cgr.dev/chainguard/python
`
  .trim()
  .split(/\s+/);
