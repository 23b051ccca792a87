// Names of real images that people pull, and that no list in src/lookalikes holds: what a false alarm is counted on. From
// public knowledge: Docker Hub's most pulled, Helm charts, Compose files of well-known projects, documentation of vendors.

export const LEGITIMATE_NAMES: readonly string[] = `
bitnami/apache bitnami/cassandra bitnami/grafana bitnami/keycloak bitnami/mysql bitnami/php-fpm bitnami/python
bitnami/prometheus bitnami/spark bitnami/tomcat bitnami/metrics-server bitnami/external-dns bitnami/sealed-secrets
bitnami/git bitnami/node bitnami/jenkins bitnami/redis-cluster bitnami/redis-sentinel bitnami/redis-exporter
bitnami/postgres-exporter bitnami/postgresql-repmgr bitnami/pgpool bitnami/mongodb-exporter bitnami/mongodb-sharded
bitnami/airflow bitnami/airflow-worker bitnami/airflow-scheduler bitnami/argo-cd bitnami/harbor-core bitnami/oauth2-proxy
bitnamicharts/redis bitnamilegacy/postgresql rapidfort/nginx rapidfort/redis-cluster chainguard/nginx
grafana/oncall grafana/pyroscope grafana/beyla grafana/grafana-oss grafana/grafana-enterprise grafana/loki-canary
grafana/fluent-bit-plugin-loki grafana/enterprise-metrics grafana/mcp-grafana grafana/grafana-image-renderer
prom/memcached-exporter prom/statsd-exporter prom/graphite-exporter prom/snmp-exporter prom/haproxy-exporter
prom/consul-exporter prom/cloudwatch-exporter prom/busybox prometheuscommunity/postgres-exporter
prometheuscommunity/elasticsearch-exporter oliver006/redis_exporter danielqsj/kafka-exporter nginx/nginx-prometheus-exporter
percona/mongodb_exporter percona/percona-server-mongodb percona/pmm-server percona/pmm-client percona/percona-xtradb-cluster
linuxserver/lidarr linuxserver/readarr linuxserver/prowlarr linuxserver/overseerr linuxserver/tautulli linuxserver/heimdall
linuxserver/duckdns linuxserver/mariadb linuxserver/nzbget linuxserver/sabnzbd linuxserver/deluge linuxserver/calibre
linuxserver/calibre-web linuxserver/jellyfin linuxserver/emby linuxserver/ombi linuxserver/unifi-controller
linuxserver/syncthing linuxserver/bookstack linuxserver/webtop linuxserver/kasm linuxserver/openssh-server
linuxserver/nginx linuxserver/healthchecks linuxserver/freshrss linuxserver/dokuwiki linuxserver/mstream linuxserver/mylar3
hashicorp/terraform-ls hashicorp/waypoint hashicorp/vault-k8s hashicorp/consul-k8s-control-plane hashicorp/tfc-agent
hashicorp/http-echo hashicorp/vault-enterprise hashicorp/consul-enterprise hashicorp/terraform-mcp-server
rancher/rke2-runtime rancher/fleet rancher/klipper-helm rancher/klipper-lb rancher/local-path-provisioner rancher/kubectl
rancher/mirrored-pause rancher/mirrored-coredns-coredns rancher/metrics-server rancher/rke-tools rancher/hyperkube
portainer/portainer portainer/portainer-ee portainer/templates portainerci/portainer-ce
jenkins/ssh-agent jenkins/jnlp-slave jenkins/jenkinsfile-runner jenkinsci/blueocean jenkinsci/jenkins
gitlab/gitlab-runner-helper gitlab/dind bitnami/gitlab-runner sameersbn/gitlab sameersbn/redis sameersbn/postgresql
sameersbn/bind sameersbn/squid gitea/act_runner gogs/gogs forgejo/forgejo
jupyter/minimal-notebook jupyter/pyspark-notebook jupyter/all-spark-notebook jupyter/tensorflow-notebook
jupyterhub/jupyterhub jupyterhub/k8s-hub rocker/tidyverse rocker/shiny rocker/r-ver rocker/verse
continuumio/anaconda3 continuumio/miniconda3 condaforge/miniforge3 mambaorg/micromamba
tensorflow/build pytorch/torchserve nvidia/cuda-arm64 nvidia/dcgm-exporter nvidia/opengl nvidia/driver nvidia/samples
huggingface/text-generation-inference vllm/vllm-tpu ollama/quantize langchain/langgraph-api langgenius/dify-api
langgenius/dify-web langflowai/langflow flowiseai/flowise mintplexlabs/anythingllm chromadb/chroma-mcp
apache/zeppelin apache/hadoop apache/hive apache/activemq-classic apache/activemq-artemis apache/apisix apache/skywalking-oap-server
apache/solr-operator apache/pinot apachepinot/pinot apachepulsar/pulsar apache/couchdb apache/nutch apache/tika apache/age
apache/beam_python3.9_sdk apacherocketmq/rocketmq apache/rocketmq apache/doris apache/zookeeper apache/answer apache/skywalking-ui
confluentinc/cp-kafka-connect confluentinc/cp-kafka-rest confluentinc/cp-ksqldb-server confluentinc/confluent-local
wurstmeister/kafka wurstmeister/zookeeper landoop/fast-data-dev provectuslabs/kafka-ui obsidiandynamics/kafdrop
redpandadata/redpanda redpandadata/console debezium/connect debezium/postgres debezium/kafka strimzi/kafka
redislabs/redis redislabs/rejson redislabs/redisearch redislabs/redisgraph redis/redis-stack-ce
rediscommander/redis-commander eqalpha/keydb valkey/valkey valkey/valkey-bundle dragonflydb/dragonfly
nginxinc/nginx-s3-gateway nginxinc/docker-extension nginx/nginx-quic-qns nginx/unit nginxdemos/nginx-hello
nginxproxy/docker-gen jwilder/docker-gen jwilder/dockerize jc21/nginx-proxy-manager jrcs/letsencrypt-nginx-proxy-companion
linuxserver/letsencrypt valian/docker-nginx-auto-ssl bunkerity/bunkerweb owasp/modsecurity-crs owasp/zap2docker-stable
zaproxy/zap-stable envoyproxy/envoy-alpine envoyproxy/gateway istio/ztunnel istio/install-cni istio/examples-bookinfo-productpage-v1
calico/kube-controllers calico/typha calico/apiserver calico/csi cilium/operator-generic cilium/hubble-relay
rook/ceph ceph/ceph ceph/daemon longhornio/longhorn-manager longhornio/longhorn-engine longhornio/csi-provisioner
openebs/provisioner-localpv velero/velero velero/velero-plugin-for-aws weaveworks/weave-kube weaveworks/scope
weaveworks/flagger fluxcd/flux fluxcd/helm-operator argoproj/argocd argoproj/rollouts argoproj/workflow-controller
kubernetesui/dashboard kubernetesui/metrics-scraper kubernetes/pause kindest/node kicbase/stable
k3d/k3s k3d-io/k3d-proxy minikube/storage-provisioner metallb/controller metallb/speaker external-secrets/external-secrets
amazon/amazon-ecs-agent amazon/aws-for-fluent-bit amazon/aws-otel-collector amazon/aws-xray-daemon amazon/opendistro-for-elasticsearch
amazon/aws-lambda-python amazon/aws-sam-cli-build-image-python3.8 localstack/localstack-pro motoserver/moto
google/cadvisor google/golang google/nodejs gcr.io/cloud-builders/docker gcr.io/cloudsql-docker/gce-proxy
gcr.io/cloud-sql-connectors/cloud-sql-proxy gcr.io/k8s-skaffold/skaffold gcr.io/tekton-releases/pipeline/controller
gcr.io/knative-releases/serving gcr.io/projectsigstore/cosign gcr.io/datadoghq/agent gcr.io/etcd-development/etcd
gcr.io/distroless/java21-debian12 gcr.io/distroless/nodejs22-debian12 gcr.io/distroless/cc-debian12 gcr.io/distroless/python3-debian12
datadog/cluster-agent datadog/docker-dd-agent newrelic/nri-kubernetes dynatrace/dynatrace-operator splunk/splunk
splunk/universalforwarder splunk/fluentd-hec sumologic/collector logdna/logdna-agent instana/agent signalfx/splunk-otel-collector
fluent/fluentd-kubernetes-daemonset fluent/fluent-bit-debug timberio/vector-dev vectordotdev/vector
jaegertracing/jaeger-agent jaegertracing/jaeger-collector jaegertracing/jaeger-query jaegertracing/jaeger jaegertracing/example-hotrod
openzipkin/zipkin-slim signoz/signoz signoz/frontend victoriametrics/victoria-metrics victoriametrics/vmagent
victoriametrics/vmalert victoriametrics/victoria-logs netdata/netdata zabbix/zabbix-server-mysql zabbix/zabbix-agent
zabbix/zabbix-web-nginx-pgsql icinga/icinga2 jasonrivers/nagios checkmk/check-mk-raw
influxdata/telegraf influxdata/chronograf timescale/timescaledb-ha postgis/docker-postgis postgrest/postgrest
pgvector/pgvector-dev ankane/pgvector citusdata/citus crunchydata/postgres-operator supabase/studio supabase/gotrue
supabase/realtime supabase/edge-runtime dpage/pgadmin edoburu/pgbouncer bitnami/pgbouncer pgbouncer/pgbouncer
mysql/mysql-router mysql/mysql-cluster mariadb/maxscale mariadb/columnstore phpmyadmin/phpmyadmin adminerevo/adminer
clickhouse/clickhouse-keeper yandex/clickhouse-server altinity/clickhouse-operator altinity/clickhouse-server
cockroachdb/cockroach-operator scylladb/scylla-manager pingcap/tidb pingcap/tikv pingcap/pd vitess/lite
neo4j/neo4j-admin memgraph/memgraph memgraph/lab arangodb/arangodb arangodb/kube-arangodb orientdb/spatial
couchbase/server couchbase/sync-gateway mongodb/mongodb-community-server mongodb/mongodb-atlas-local mongodb/atlas
mongodb/mongodb-kubernetes mongodb/mongodb-mcp-server opensearchproject/data-prepper opensearchproject/logstash-oss-with-opensearch-output-plugin
elastic/elasticsearch elastic/filebeat elastic/kibana elastic/logstash elastic/metricbeat elastic/elastic-agent
docker.elastic.co/apm/apm-server docker.elastic.co/logstash/logstash docker.elastic.co/eck/eck-operator
docker.elastic.co/beats/metricbeat docker.elastic.co/elasticsearch/elasticsearch-oss lmenezes/cerebro
getmeili/meilisearch-enterprise semitechnologies/transformers-inference marqoai/marqo vespaengine/vespa
n8nio/base nodered/node-red-docker homeassistant/home-assistant-core homeassistant/amd64-base homeassistant/aarch64-homeassistant
homeassistant/raspberrypi4-homeassistant esphome/esphome koenkk/zigbee2mqtt zwavejs/zwave-js-ui blakeblackshear/frigate
ghcr.io/blakeblackshear/frigate ghcr.io/home-assistant/amd64-hassio-supervisor ghcr.io/esphome/esphome
pihole/pihole-dev mvance/unbound klutchell/unbound cloudflare/cloudflared visibilityspots/cloudflared tailscale/tailscale
tailscale/derper netbirdio/netbird zerotier/zerotier wireguard/wireguard-go weejewel/wg-easy qmcgaw/gluetun
haugene/transmission-openvpn kylemanna/openvpn dperson/samba dperson/openvpn-client crazymax/samba itzg/minecraft-server
itzg/bungeecord itzg/mc-backup factoriotools/factorio lloesche/valheim-server cm2network/steamcmd cm2network/csgo
vaultwarden/vaultwarden bitwardenrs/server bitwarden/server bitwarden/nginx bitwarden/admin passbolt/passbolt
authelia/authelia-dev goauthentik/server ghcr.io/goauthentik/proxy keycloak/keycloak-operator quay.io/keycloak/keycloak-operator
jboss/keycloak jboss/wildfly jboss/base-jdk bitnami/wildfly payara/server-full payara/micro
oryd/kratos oryd/keto oryd/oathkeeper casbin/casbin-server dexidp/dex ghcr.io/dexidp/website osixia/openldap
osixia/phpldapadmin rroemhild/test-openldap lldap/lldap louislam/dockge containrrr/shepherd amir20/doze
gristlabs/grist nocodb/nocodb baserow/baserow budibase/worker budibase/apps appsmith/appsmith-ce tooljet/tooljet-ce
jellyfin/jellyfin-web jellyfin/jellyfin-vue emby/embyserver plexinc/pms plexinc/pms-arm navidrome/navidrome deluan/navidrome
airsonicadvanced/airsonic-advanced audiobookshelf/audiobookshelf ghcr.io/advplyr/audiobookshelf photoprism/dummy
ghcr.io/immich-app/immich-machine-learning ghcr.io/immich-app/postgres syncthing/relaysrv syncthing/discosrv
owncloud/server owncloud/ocis nextcloud/aio-imaginary nextcloud/all-in-one collabora/code onlyoffice/documentserver
onlyoffice/communityserver seafileltd/seafile-mc filegator/filegator joplin/server outlinewiki/outline requarks/wiki
ghcr.io/requarks/wiki lscr.io/linuxserver/bookstack lscr.io/linuxserver/radarr lscr.io/linuxserver/jackett
docker/docker-bench-security docker/binfmt docker/getting-started docker/welcome-to-docker docker/scout-cli docker/ucp
docker/dtr docker/compose-bin docker/buildx-bin docker/dockerfile-upstream docker/for-desktop-kernel docker/app
docker/whalesay docker/trusttunnel dockersamples/static-site dockersamples/visualizer dockercloud/hello-world dockerswarm/swarm
moby/moby-bin moby/swarmkit multiarch/qemu-user-static tonistiigi/xx crazymax/diun crazymax/ghaction-docker-meta
crazymax/fail2ban crazymax/rtorrent-rutorrent aquasec/kube-bench aquasec/kube-hunter aquasec/tfsec aquasec/trivy-operator
anchore/anchore-engine anchore/enterprise clair/clair quay.io/projectquay/clair quay.io/coreos/flannel quay.io/coreos/kube-state-metrics
quay.io/coreos/prometheus-operator quay.io/prometheus/alertmanager quay.io/prometheus/blackbox-exporter
quay.io/prometheus/busybox quay.io/prometheus-operator/prometheus-operator quay.io/jetstack/cert-manager-webhook
quay.io/jetstack/cert-manager-cainjector quay.io/oauth2-proxy/oauth2-proxy quay.io/thanos/thanos quay.io/minio/mc
quay.io/argoproj/argoexec quay.io/argoproj/argo-rollouts quay.io/argoprojlabs/argocd-image-updater quay.io/podman/hello
quay.io/buildah/stable quay.io/skopeo/stable quay.io/containers/podman quay.io/centos/centos-bootc quay.io/fedora/fedora-bootc
quay.io/fedora/fedora-minimal quay.io/openshift/origin-cli quay.io/operator-framework/olm quay.io/metallb/controller
quay.io/cilium/operator-generic quay.io/cilium/hubble-ui quay.io/calico/node quay.io/tigera/operator quay.io/frrouting/frr
quay.io/biocontainers/samtools quay.io/biocontainers/bwa quay.io/ansible/awx quay.io/ansible/ansible-runner quay.io/strimzi/kafka
quay.io/devfile/universal-developer-image quay.io/ceph/ceph-csi quay.io/cephcsi/cephcsi quay.io/gogatekeeper/gatekeeper
ghcr.io/linuxserver/sonarr ghcr.io/linuxserver/radarr ghcr.io/linuxserver/baseimage-alpine ghcr.io/open-webui/mcpo
ghcr.io/actions/runner ghcr.io/actions/actions-runner-controller ghcr.io/fluxcd/kustomize-controller ghcr.io/fluxcd/flux-cli
ghcr.io/cloudnative-pg/postgresql ghcr.io/kyverno/background-controller ghcr.io/external-secrets/external-secrets
ghcr.io/aquasecurity/trivy ghcr.io/anchore/grype ghcr.io/sigstore/cosign/cosign ghcr.io/sigstore/rekor-server
ghcr.io/chroma-core/chroma ghcr.io/huggingface/text-embeddings-inference ghcr.io/berriai/litellm ghcr.io/ggml-org/llama.cpp
ghcr.io/ggerganov/llama.cpp ghcr.io/oracle/oraclelinux ghcr.io/graalvm/graalvm-ce ghcr.io/graalvm/native-image-community
ghcr.io/hadolint/hadolint ghcr.io/super-linter/super-linter ghcr.io/github/super-linter ghcr.io/renovatebot/renovate
ghcr.io/gitleaks/gitleaks ghcr.io/zricethezav/gitleaks ghcr.io/zaproxy/zaproxy ghcr.io/owasp-dep-scan/dep-scan
ghcr.io/k3d-io/k3d-tools ghcr.io/k3s-io/klipper-lb ghcr.io/flannel-io/flannel ghcr.io/spegel-org/spegel
ghcr.io/siderolabs/talos ghcr.io/siderolabs/installer ghcr.io/toolchain-labs/pants ghcr.io/prefix-dev/pixi
ghcr.io/astral-sh/ruff ghcr.io/pypa/manylinux ghcr.io/containers/podman ghcr.io/containerbase/base ghcr.io/n8n-io/n8n
ghcr.io/gethomepage/homepage ghcr.io/wg-easy/wg-easy ghcr.io/hotio/sonarr ghcr.io/onedr0p/radarr ghcr.io/matter-labs/zksync
ghcr.io/foundry-rs/foundry ghcr.io/paradigmxyz/reth ghcr.io/nocodb/nocodb ghcr.io/umami-software/umami ghcr.io/plausible/community-edition
registry.k8s.io/kube-proxy registry.k8s.io/kube-scheduler registry.k8s.io/kube-controller-manager registry.k8s.io/coredns
registry.k8s.io/ingress-nginx/kube-webhook-certgen registry.k8s.io/sig-storage/csi-provisioner registry.k8s.io/sig-storage/csi-attacher
registry.k8s.io/sig-storage/csi-resizer registry.k8s.io/kube-state-metrics/kube-state-metrics registry.k8s.io/external-dns/external-dns
registry.k8s.io/autoscaling/cluster-autoscaler registry.k8s.io/dns/k8s-dns-node-cache registry.k8s.io/e2e-test-images/agnhost
registry.k8s.io/build-image/debian-base registry.k8s.io/kubectl k8s.gcr.io/kube-apiserver k8s.gcr.io/pause k8s.gcr.io/etcd
mcr.microsoft.com/dotnet/runtime-deps mcr.microsoft.com/dotnet/monitor mcr.microsoft.com/dotnet/samples mcr.microsoft.com/dotnet/framework/aspnet
mcr.microsoft.com/mssql-tools mcr.microsoft.com/mssql/rhel/server mcr.microsoft.com/windows/servercore mcr.microsoft.com/windows/nanoserver
mcr.microsoft.com/azure-functions/node mcr.microsoft.com/azure-functions/python mcr.microsoft.com/devcontainers/python
mcr.microsoft.com/devcontainers/typescript-node mcr.microsoft.com/vscode/devcontainers/base mcr.microsoft.com/azurelinux/base/core
mcr.microsoft.com/cbl-mariner/base/core mcr.microsoft.com/openjdk/jdk mcr.microsoft.com/playwright/python mcr.microsoft.com/oss/kubernetes/pause
mcr.microsoft.com/azure-storage/azurite mcr.microsoft.com/cosmosdb/linux/azure-cosmos-emulator mcr.microsoft.com/azure-databases/data-api-builder
public.ecr.aws/lambda/nodejs public.ecr.aws/lambda/java public.ecr.aws/docker/library/redis public.ecr.aws/bitnami/redis
public.ecr.aws/aws-observability/aws-otel-collector public.ecr.aws/eks-distro/kubernetes/pause public.ecr.aws/karpenter/controller
public.ecr.aws/ubuntu/ubuntu public.ecr.aws/nginx/nginx-ingress public.ecr.aws/eks/aws-load-balancer-controller
public.ecr.aws/ecs-sample-image/amazon-ecs-sample public.ecr.aws/xray/aws-xray-daemon public.ecr.aws/amazoncorretto/amazoncorretto
nvcr.io/nvidia/tritonserver nvcr.io/nvidia/tensorflow nvcr.io/nvidia/k8s-device-plugin nvcr.io/nvidia/gpu-operator nvcr.io/nim/meta/llama3
registry.access.redhat.com/ubi9/ubi-minimal registry.access.redhat.com/ubi9/ubi-micro registry.access.redhat.com/ubi9/nodejs-20
registry.access.redhat.com/ubi8/python-39 registry.access.redhat.com/ubi9/openjdk-17 registry.redhat.io/rhel9/postgresql-15
registry.redhat.io/openshift4/ose-cli registry.gitlab.com/gitlab-org/gitlab-runner registry.gitlab.com/gitlab-org/build/cng/gitlab-webservice-ee
registry.gitlab.com/gitlab-org/cluster-integration/auto-deploy-image registry.gitlab.com/security-products/semgrep
cgr.dev/chainguard/nginx cgr.dev/chainguard/node cgr.dev/chainguard/go cgr.dev/chainguard/bash container-registry.oracle.com/database/free
container-registry.oracle.com/java/openjdk icr.io/appcafe/websphere-liberty icr.io/ibm/tekton-operator
docker.n8n.io/n8nio/n8n cr.fluentbit.io/fluent/fluent-bit cr.l5d.io/linkerd/proxy cr.weaviate.io/semitechnologies/weaviate
docker.io/library/nginx docker.io/library/python docker.io/grafana/grafana docker.io/istio/pilot docker.io/bitnami/kafka
opensuse/leap opensuse/tumbleweed registry.opensuse.org/opensuse/tumbleweed registry.suse.com/bci/bci-base registry.fedoraproject.org/fedora
almalinux/9-base rockylinux/rockylinux oraclelinux/oraclelinux kalilinux/kali-rolling parrotsec/core blackarchlinux/blackarch
archlinux/archlinux manjarolinux/base voidlinux/voidlinux nixos/nix gentoo/stage3 gentoo/portage vmware/photon2 clefos/clefos
ubuntu/nginx ubuntu/postgres ubuntu/bind9 ubuntu/squid ubuntu/redis ubuntu/mysql ubuntu/apache2 ubuntu/dotnet-aspnet debian/eol
fedora/apache redhat/ubi8 redhat/ubi9 redhat/ubi9-minimal centos/python-38-centos7 centos/systemd centos/mysql-57-centos7
eclipse/che-server eclipse-temurin/temurin adoptopenjdk/openjdk11 azul/zulu-openjdk azul/zulu-openjdk-alpine bellsoft/liberica-openjdk-alpine
bellsoft/liberica-runtime-container amazoncorretto/amazoncorretto ibmcom/websphere-liberty ibmcom/mq icr.io/ibm-messaging/mq
circleci/postgres circleci/redis circleci/golang circleci/ruby cimg/go cimg/openjdk cimg/postgres cimg/ruby cimg/rust
drone/drone-runner-docker drone/git plugins/docker plugins/kaniko woodpeckerci/woodpecker-agent concourse/concourse
buildkite/agent teamcity/teamcity-server jetbrains/teamcity-server jetbrains/teamcity-agent jetbrains/youtrack jetbrains/qodana
atlassian/jira-software atlassian/confluence-server atlassian/bitbucket-server atlassian/default-image sonatype/nexus
sonatype/nexus-iq-server jfrog/artifactory-pro releases-docker.jfrog.io/jfrog/artifactory-oss verdaccio/verdaccio
goharbor/harbor-portal goharbor/registry-photon goharbor/nginx-photon goharbor/redis-photon goharbor/prepare
selenium/node-firefox selenium/standalone-firefox selenium/node-edge selenium/video cypress/browsers cypress/factory
browserless/base zenika/alpine-chrome alpeware/chrome-headless-stable justinribeiro/chrome-headless mcr.microsoft.com/playwright/java
codercom/code-server gitpod/workspace-full gitpod/openvscode-server eclipse/theia theiaide/theia rstudio/rstudio-server-pro
koalaman/shellcheck-alpine pipelinecomponents/yamllint cytopia/yamllint cytopia/terraform-docs alpine/terragrunt alpine/socat
alpine/psql alpine/openssl alpine/httpie alpine/bombardier dtzar/helm-kubectl bitnami/helm lachlanevenson/k8s-helm
curlimages/curl-base rclone/rclone restic/restic borgbackup/borg duplicati/duplicati kopia/kopia offen/docker-volume-backup
appropriate/curl byrnedo/alpine-curl giantswarm/tiny-tools nicolaka/netshoot praqma/network-multitool busybox/busybox
wbitt/network-multitool polinux/stress progrium/stress progrium/consul gliderlabs/registrator gliderlabs/logspout gliderlabs/alpine
ginuerzh/gost v2fly/v2fly-core teddysun/xray teddysun/v2ray shadowsocks/shadowsocks-libev mritd/shadowsocks p3terx/aria2-pro
traefik/mesh traefik/hub-agent traefik/jobs traefikee/traefikee caddy/ingress lucaslorentz/caddy-docker-proxy abiosoft/caddy
haproxytech/kubernetes-ingress haproxytech/haproxy-ubuntu openresty/openresty-dev varnish/varnish-enterprise kong/kong-gateway
kong/kubernetes-ingress-controller kong/deck tykio/tyk-gateway apache/apisix-dashboard devopsfaith/krakend express-gateway/express-gateway
emqx/emqx-ee emqx/neuron eclipse/mosquitto toke/mosquitto hivemq/hivemq-ce vernemq/vmq-operator nats-streaming/nats synadia/nats-server
natsio/jetstream natsio/nats-server-config-reloader rabbitmqoperator/messaging-topology-operator bitnami/rabbitmq-cluster-operator
frolvlad/alpine-glibc frolvlad/alpine-miniconda3 frolvlad/alpine-python3 mhart/alpine-node anapsix/alpine-java andyshinn/dnsmasq
phusion/baseimage phusion/passenger-full tianon/true tianon/gosu tianon/syncthing jess/chromium jess/t jessfraz/img vimagick/tinyproxy
tutum/mongodb tutum/hello-world tutum/mysql dockerfile/nginx dockerfile/java nginxinc/ingress-demo crccheck/hello-world
strm/helloworld-http gcr.io/google-samples/hello-app karthequian/helloworld training/webapp stefanprodan/podinfo ghcr.io/stefanprodan/podinfo
kennethreitz/httpbin mccutchen/go-httpbin mendhak/http-https-echo ealen/echo-server jmalloc/echo-server containous/whoami
mailhog/mailhog axllent/mailpit maildev/maildev mailserver/docker-mailserver ghcr.io/docker-mailserver/docker-mailserver
mailcow/dovecot mailu/admin boky/postfix catatnight/postfix juanluisbaptiste/postfix roundcube/roundcubemail
mattermost/mattermost-enterprise-edition mattermost/focalboard rocketchat/hubot-rocketchat zulip/docker-zulip matrixdotorg/synapse
vectorim/element-web vectorim/riot-web jitsi/web jitsi/prosody jitsi/jvb bigbluebutton/bbb-docker asterisk/asterisk coturn/coturn
metabase/metabase-head redash/preview superset/superset lightdash/lightdash cubejs/cube preset/preset airbyte/server airbyte/worker
prefecthq/prefect dagster/dagster-k8s kestra/kestra temporalio/auto-setup temporalio/ui temporalio/server camunda/zeebe camunda/operate
directus/directus-next strapi/base payloadcms/payload ghostfolio/ghostfolio ghost/ghost-cli wordpressdevelop/php wordpressdevelop/cli
wpengine/headless drupalci/php-7.4-apache joomlatools/box bitnami/magento elgg/elgg moodlehq/moodle-php-apache prestashop/prestashop
odoo/odoo-dev frappe/erpnext frappe/bench dolibarr/dolibarr invoiceninja/invoiceninja akaunting/akaunting fireflyiii/core
actualbudget/actual-server docuseal/docuseal documenso/documenso calcom/cal.com plausible/analytics matomo/matomo umamisoftware/umami
semgrep/semgrep returntocorp/semgrep sonarsource/sonarcloud-scan snyk/snyk snyk/kubernetes-monitor checkmarx/kics bridgecrew/checkov
trufflesecurity/trufflehog zricethezav/gitleaks projectdiscovery/nuclei projectdiscovery/subfinder metasploitframework/metasploit-framework
wazuh/wazuh-manager wazuh/wazuh-indexer falcosecurity/falco falcosecurity/falcosidekick sysdig/agent sysdig/sysdig crowdsecurity/crowdsec
openpolicyagent/opa openpolicyagent/gatekeeper openpolicyagent/conftest kyverno/kyverno styra/opa-java spiffe/spire-server
ethereum/client-go hyperledger/fabric-peer hyperledger/besu parity/parity parity/polkadot inputoutput/cardano-node bitcoin/bitcoin lncm/bitcoind
unityci/editor gableroux/unity3d godotengine/godot barichello/godot-ci cirrusci/flutter instrumentisto/flutter reactnativecommunity/react-native-android
composer/composer phpunit/phpunit php/php-fpm serversideup/php dunglas/frankenphp dunglas/mercure symfony/symfony laravelsail/php82-composer
oven/bun denoland/deno node/node-slim yarnpkg/yarn pnpm/pnpm rustlang/rust golangci/golangci-lint goreleaser/goreleaser golang/migrate migrate/migrate
flyway/flyway liquibase/liquibase-pro redgate/flyway sqitch/sqitch dbeaver/cloudbeaver sosedoff/pgweb
swaggerapi/swagger-ui swaggerapi/swagger-editor swaggerapi/petstore openapitools/openapi-generator-cli redocly/redoc stoplight/prism mockserver/mockserver
wiremock/wiremock hoverfly/hoverfly postman/newman apache/jmeter justb4/jmeter loadimpact/k6 locustio/locust gatling/gatling artilleryio/artillery
mcp/filesystem mcp/postgres mcp/slack mcp/time mcp/sequentialthinking mcp/puppeteer ai/llama3.2 ai/gemma3 ai/qwen2.5
`
  .trim()
  .split(/\s+/);
