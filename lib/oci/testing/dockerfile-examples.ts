// For each rule about Dockerfiles: files that break it and files that do not. What does not begin with FROM or ARG stands
// below `FROM a:1`; lines are divided by `|n`.

export interface RuleExamples {
  readonly bad: readonly string[];
  readonly good: readonly string[];
}

export const DOCKERFILE_EXAMPLES: Readonly<Record<string, RuleExamples>> = {
  DL1001: {
    bad: ['# hadolint ignore=DL3006|nRUN a', '# hadolint global ignore=DL3006|nRUN a'],
    good: ['# about hadolint|nRUN a', 'RUN echo "# hadolint ignore=DL3006"'],
  },
  DL3000: {
    bad: ['WORKDIR app', 'WORKDIR "app"', 'ONBUILD WORKDIR a/b'],
    good: ['WORKDIR /app', 'WORKDIR ${HOME}', 'WORKDIR "C:\\\\app"'],
  },
  DL3001: {
    bad: ['RUN ssh host', 'RUN a && service nginx start', 'RUN if a; then mount /dev/sda /mnt; fi', 'RUN ["top"]'],
    good: ['RUN apt-get install -y ssh vim', 'RUN echo ps', 'RUN --mount=type=cache,target=/x make', 'RUN umount /mnt'],
  },
  DL3002: {
    bad: ['USER root', 'USER app|nUSER 0:0', 'FROM a:1 AS b|nUSER root|nFROM b'],
    good: ['USER root|nRUN a|nUSER app', 'USER 10001:0', 'FROM a:1 AS b|nUSER root|nFROM c:1|nUSER app', 'USER rooty'],
  },
  DL3003: {
    bad: ['RUN cd /app && make', 'RUN (cd /app; make)', 'RUN <<E|ncd /app|nmake|nE'],
    good: ['WORKDIR /app|nRUN make', 'RUN make -C /app', 'RUN echo cd /app'],
  },
  DL3004: {
    bad: ['RUN sudo apt-get update', 'RUN a && sudo -E b', 'RUN /usr/bin/sudo a'],
    good: ['RUN apt-get install -y sudo', 'RUN gosu app a', 'RUN echo "sudo"'],
  },
  DL3005: {
    bad: ['RUN apt-get update && apt-get dist-upgrade -y', 'RUN apt-get -y full-upgrade'],
    good: ['RUN apt-get upgrade -y', 'RUN echo apt-get dist-upgrade'],
  },
  DL3006: {
    bad: ['FROM debian', 'FROM registry.example:5000/debian', 'FROM debian AS a|nFROM a'],
    good: [
      'FROM debian:12',
      'FROM scratch',
      'FROM debian:12 AS a|nFROM a',
      'FROM debian@sha256:0123',
      'ARG V=3|nFROM alpine:$V',
      'ARG I|nFROM $I',
    ],
  },
  DL3007: {
    bad: ['FROM debian:latest', 'ARG V=latest|nFROM debian:${V}'],
    good: ['FROM debian:12', 'FROM debian:latest@sha256:0123', 'FROM latest:12'],
  },
  DL3008: {
    bad: [
      'RUN apt-get install -y curl',
      'RUN apt-get -y install a=1 b',
      'RUN apt-get install -y -t testing curl',
      'RUN DEBIAN_FRONTEND=noninteractive apt-get install -y curl',
    ],
    good: [
      'RUN apt-get install -y curl=8.1',
      'RUN apt-get install ./x.deb',
      'RUN apt-get install -y curl/trixie',
      'RUN apt-get install -y -t testing curl=1',
      'RUN apt-get update',
    ],
  },
  DL3009: {
    bad: ['RUN apt-get update && apt-get install -y curl', 'RUN rm -rf /var/lib/apt/lists/* && apt-get update'],
    good: [
      'RUN apt-get update && apt-get install -y a=1 && rm -rf /var/lib/apt/lists/*',
      'RUN --mount=type=cache,target=/var/lib/apt apt-get update',
      'RUN apt-get update && rm -rf /var/lib/apt/lists',
    ],
  },
  DL3010: {
    bad: ['COPY a.tar.gz /tmp/|nRUN tar -xzf /tmp/a.tar.gz', 'COPY x/a.tgz /|nRUN b && tar xf a.tgz'],
    good: [
      'ADD a.tar.gz /',
      'COPY a.tar.gz /srv/',
      'FROM a:1 AS b|nFROM a:1|nCOPY --from=b /a.tar /|nRUN tar xf /a.tar',
    ],
  },
  DL3011: {
    bad: ['EXPOSE 80000', 'EXPOSE 80 65536/tcp', 'EXPOSE 8000-70000'],
    good: ['EXPOSE 80', 'EXPOSE 65535/udp', 'EXPOSE $PORT'],
  },
  DL3012: {
    bad: ['HEALTHCHECK CMD a|nHEALTHCHECK CMD b'],
    good: ['HEALTHCHECK CMD a', 'FROM a:1|nHEALTHCHECK CMD a|nFROM b:1|nHEALTHCHECK CMD b'],
  },
  DL3013: {
    bad: [
      'RUN pip install flask',
      'RUN python3 -m pip install -U flask',
      'RUN pip3 install --no-cache-dir a==1 b',
      'RUN pip install --index-url https://x flask',
    ],
    good: [
      'RUN pip install flask==3.1',
      'RUN pip install -r requirements.txt',
      'RUN pip install .',
      'RUN pip install git+https://x/y@v1',
      'RUN pip install ./a.whl',
      'RUN pip list',
    ],
  },
  DL3014: {
    bad: ['RUN apt-get install curl', 'RUN apt-get install -q curl'],
    good: [
      'RUN apt-get install -y curl',
      'RUN apt-get -qq install curl',
      'RUN apt-get install -qy curl',
      'RUN apt-get install --assume-yes curl',
      'RUN apt-get update',
    ],
  },
  DL3015: {
    bad: ['RUN apt-get install -y curl'],
    good: [
      'RUN apt-get install -y --no-install-recommends curl',
      'RUN apt-get install -y -o APT::Install-Recommends=false curl',
    ],
  },
  DL3016: {
    bad: ['RUN npm install -g express', 'RUN npm i express@latest', 'RUN npm install @scope/name'],
    good: [
      'RUN npm install',
      'RUN npm ci',
      'RUN npm install -g express@4.1.1',
      'RUN npm install @scope/name@1',
      'RUN npm install ./x.tgz',
      'RUN npm install git+https://x/y#v1',
    ],
  },
  DL3017: {
    bad: ['RUN apk upgrade', 'RUN apk update && apk --no-cache upgrade'],
    good: ['RUN apk add --no-cache a=1', 'RUN apk update'],
  },
  DL3018: {
    bad: ['RUN apk add curl', 'RUN apk --no-cache add a=1 b', 'RUN apk add --virtual .build gcc'],
    good: [
      'RUN apk add curl=8.1',
      'RUN apk add --virtual .build gcc=1',
      "RUN apk add 'curl>8'",
      'RUN apk add curl~8',
      'RUN apk del curl',
    ],
  },
  DL3019: {
    bad: ['RUN apk add curl', 'RUN apk add --update curl'],
    good: [
      'RUN apk add --no-cache curl',
      'RUN apk --no-cache add curl',
      'RUN apk add curl && rm -rf /var/cache/apk/*',
      'RUN --mount=type=cache,target=/var/cache/apk apk add curl',
    ],
  },
  DL3020: {
    bad: ['ADD file /app/', 'ADD ["a b", "/app/"]', 'ADD . /app'],
    good: [
      'COPY file /app/',
      'ADD a.tar.gz /app/',
      'ADD https://x/y /y',
      'ADD https://github.com/a/b.git /b',
      'ADD <<E /x|na|nE',
    ],
  },
  DL3021: {
    bad: ['COPY a b /app', 'COPY ["a", "b", "/app"]'],
    good: ['COPY a b /app/', 'COPY a /app', 'COPY a b .', 'COPY a b $DIR'],
  },
  DL3022: {
    bad: [
      'COPY --from=build /a /a',
      'FROM a:1|nCOPY --from=1 /a /a',
      'FROM a:1|nCOPY --from=later /a /a|nFROM b:1 AS later',
    ],
    good: [
      'FROM a:1 AS build|nFROM b:1|nCOPY --from=build /a /a',
      'FROM a:1|nFROM b:1|nCOPY --from=0 /a /a',
      'COPY --from=nginx:1 /a /a',
      'FROM a:1 AS Build|nFROM b:1|nCOPY --from=build /a /a',
    ],
  },
  DL3023: {
    bad: ['FROM a:1 AS b|nCOPY --from=b /a /c'],
    good: ['FROM a:1 AS b|nFROM c:1|nCOPY --from=b /a /a', 'COPY a /a'],
  },
  DL3024: {
    bad: ['FROM a:1 AS b|nFROM c:1 AS b', 'FROM a:1 AS b|nFROM c:1 as B'],
    good: ['FROM a:1 AS b|nFROM c:1 AS d', 'FROM a:1|nFROM c:1'],
  },
  DL3025: {
    bad: ['CMD app serve', 'ENTRYPOINT app', "CMD ['app']"],
    good: ['CMD ["app", "serve"]', 'ENTRYPOINT ["app"]', 'HEALTHCHECK CMD curl x'],
  },
  DL3026: {
    bad: ['FROM evil.example/a:1', 'FROM ghcr.io/other/a:1'],
    good: [
      'FROM registry.acme.example/a:1',
      'FROM ghcr.io/acme/a:1',
      'FROM scratch',
      'FROM registry.acme.example/a:1 AS b|nFROM b',
    ],
  },
  DL3027: {
    bad: ['RUN apt install -y curl', 'RUN apt update'],
    good: ['RUN apt-get install -y curl', 'RUN apt-cache policy curl'],
  },
  DL3028: {
    bad: ['RUN gem install bundler', 'RUN gem install a:1 b'],
    good: [
      'RUN gem install bundler:2.7',
      'RUN gem install bundler -v 2.7',
      'RUN gem install bundler --version=2.7',
      'RUN gem list',
    ],
  },
  DL3029: {
    bad: ['FROM --platform=linux/amd64 a:1'],
    good: ['FROM --platform=$BUILDPLATFORM a:1', 'FROM a:1'],
  },
  DL3030: {
    bad: ['RUN yum install httpd'],
    good: ['RUN yum install -y httpd', 'RUN yum -y install httpd', 'RUN yum list'],
  },
  DL3031: {
    bad: ['RUN yum -y update', 'RUN yum upgrade -y'],
    good: ['RUN yum install -y update-tools', 'RUN yum makecache'],
  },
  DL3032: {
    bad: ['RUN yum install -y httpd-2.4', 'RUN yum clean all && yum install -y httpd-2.4'],
    good: ['RUN yum install -y httpd-2.4 && yum clean all', 'RUN yum install -y httpd-2.4 && rm -rf /var/cache/yum'],
  },
  DL3033: { bad: ['RUN yum install -y httpd'], good: ['RUN yum install -y httpd-2.4.6', 'RUN yum install -y ./a.rpm'] },
  DL3034: {
    bad: ['RUN zypper install httpd'],
    good: ['RUN zypper -n install httpd', 'RUN zypper install -y httpd', 'RUN zypper --non-interactive in httpd'],
  },
  DL3035: {
    bad: ['RUN zypper -n dist-upgrade', 'RUN zypper -n dup'],
    good: ['RUN zypper -n install a=1', 'RUN zypper refresh'],
  },
  DL3036: {
    bad: ['RUN zypper -n install a=1'],
    good: ['RUN zypper -n install a=1 && zypper clean', 'RUN zypper -n in a=1 && zypper cc -a'],
  },
  DL3037: {
    bad: ['RUN zypper -n install curl'],
    good: ['RUN zypper -n install curl=8.1', 'RUN zypper -n install "curl>=8"', 'RUN zypper -n install a.rpm'],
  },
  DL3038: {
    bad: ['RUN dnf install httpd', 'RUN microdnf install httpd'],
    good: ['RUN dnf install -y httpd', 'RUN microdnf install -y httpd'],
  },
  DL3039: { bad: ['RUN dnf update -y', 'RUN dnf -y upgrade'], good: ['RUN dnf install -y a-1', 'RUN dnf makecache'] },
  DL3040: {
    bad: ['RUN dnf install -y a-1'],
    good: [
      'RUN dnf install -y a-1 && dnf clean all',
      'RUN --mount=type=cache,target=/var/cache/dnf dnf install -y a-1',
      'RUN dnf install -y a-1 && rm -rf /var/cache/dnf/*',
    ],
  },
  DL3041: { bad: ['RUN dnf install -y httpd'], good: ['RUN dnf install -y httpd-2.4', 'RUN dnf install -y a-1.rpm'] },
  DL3042: {
    bad: ['RUN pip install flask==1', 'RUN python -m pip install flask==1'],
    good: [
      'RUN pip install --no-cache-dir flask==1',
      'ENV PIP_NO_CACHE_DIR=1|nRUN pip install flask==1',
      'RUN --mount=type=cache,target=/root/.cache/pip pip install flask==1',
      'RUN PIP_NO_CACHE_DIR=1 pip install a==1',
    ],
  },
  DL3043: {
    bad: ['ONBUILD ONBUILD RUN a', 'ONBUILD FROM a', 'ONBUILD MAINTAINER me'],
    good: ['ONBUILD RUN a', 'ONBUILD COPY a /b'],
  },
  DL3044: {
    bad: ['ENV A=1 B=$A', 'ENV A=1 B="x${A}"'],
    good: [
      'ENV A=1|nENV B=$A',
      'ARG A|nENV A=$A',
      'ENV A=1 B=\\$A',
      'ENV A=1 B=$AB',
      'FROM a:1 AS x|nENV A=1|nFROM x|nENV A=2 B=$A',
      'ENV PATH="/x:$PATH2"',
    ],
  },
  DL3045: {
    bad: ['COPY a b/', 'FROM a:1|nWORKDIR /x|nFROM b:1|nCOPY a .'],
    good: ['WORKDIR /x|nCOPY a b/', 'COPY a /b', 'COPY a $B', 'FROM a:1 AS c|nWORKDIR /x|nFROM c|nCOPY a b'],
  },
  DL3046: {
    bad: ['RUN useradd -u 1000123 app', 'RUN useradd --uid=1000123 app', 'RUN useradd -mu 1000123 app'],
    good: [
      'RUN useradd -l -u 1000123 app',
      'RUN useradd --no-log-init -u 1000123 app',
      'RUN useradd -u 10001 app',
      'RUN useradd app',
    ],
  },
  DL3047: {
    bad: ['RUN wget https://x', 'RUN a && wget -O f https://x'],
    good: [
      'RUN wget --progress=dot:giga https://x',
      'RUN wget -q https://x',
      'RUN wget -nv https://x',
      'RUN wget -qO- https://x',
      'RUN curl https://x',
    ],
  },
  DL3048: {
    bad: ['LABEL +a=b', 'LABEL Team=x', 'LABEL com.docker.x=1', 'LABEL a..b=c', 'LABEL a-=c'],
    good: ['LABEL team=x', 'LABEL com.example.team-name="a b" v2=1', 'LABEL $KEY=x'],
  },
  DL3049: { bad: ['LABEL other=x'], good: ['LABEL required=x', 'FROM a:1 AS b|nLABEL required=x|nFROM b'] },
  DL3050: { bad: ['LABEL required=x other=y'], good: ['LABEL required=x', 'RUN a'] },
  DL3051: { bad: ['LABEL a=""', 'LABEL a='], good: ['LABEL a=b', 'LABEL a="$B"'] },
  DL3052: {
    bad: ['LABEL org.opencontainers.image.url="not a url"', 'LABEL org.opencontainers.image.source=github'],
    good: ['LABEL org.opencontainers.image.url="https://x.example/"', 'LABEL org.opencontainers.image.url=$URL'],
  },
  DL3053: {
    bad: [
      'LABEL org.opencontainers.image.created="yesterday"',
      'LABEL org.opencontainers.image.created=2026-13-01T00:00:00Z',
    ],
    good: [
      'LABEL org.opencontainers.image.created="2026-11-21T08:00:00Z"',
      'LABEL org.opencontainers.image.created="2026-11-21T08:00:00.5+01:00"',
    ],
  },
  DL3054: {
    bad: [
      'LABEL org.opencontainers.image.licenses="Apache"',
      'LABEL org.opencontainers.image.licenses="do what you like, please"',
    ],
    good: [
      'LABEL org.opencontainers.image.licenses="Apache-2.0"',
      'LABEL org.opencontainers.image.licenses="(MIT OR Apache-2.0) AND BSD-3-Clause"',
    ],
  },
  DL3055: {
    bad: ['LABEL org.opencontainers.image.revision="main"', 'LABEL org.opencontainers.image.revision="12345"'],
    good: ['LABEL org.opencontainers.image.revision="8978d39"', 'LABEL org.opencontainers.image.revision="$SHA"'],
  },
  DL3056: {
    bad: ['LABEL version="1.2"', 'LABEL version=v01.2.3'],
    good: ['LABEL version="1.2.3"', 'LABEL version=1.2.3-rc.1+5'],
  },
  DL3057: {
    bad: ['RUN a', 'FROM a:1 AS b|nHEALTHCHECK CMD a|nFROM c:1'],
    good: ['HEALTHCHECK CMD a', 'FROM a:1 AS b|nHEALTHCHECK CMD a|nFROM b', 'HEALTHCHECK NONE'],
  },
  DL3058: {
    bad: ['LABEL contact="me"', 'LABEL contact="a@b"'],
    good: ['LABEL contact="me@x.example"', 'LABEL contact=$ME'],
  },
  DL3059: {
    bad: ['RUN a|nRUN b', 'RUN a|n# why|nRUN b'],
    good: [
      'RUN a && b',
      'RUN a|nCOPY c /|nRUN b',
      'RUN a|nRUN --network=none b',
      'RUN a|nRUN <<E|nb|nE',
      'FROM a:1|nRUN a|nFROM b:1|nRUN b',
    ],
  },
  DL3060: {
    bad: ['RUN yarn install', 'RUN yarn', 'RUN yarn cache clean && yarn add x'],
    good: [
      'RUN yarn install && yarn cache clean',
      'RUN yarn build',
      'RUN --mount=type=cache,target=/usr/local/share/.cache yarn install',
      'RUN yarn --version',
    ],
  },
  DL3061: { bad: ['RUN a|nFROM b:1', 'ENV A=1|nFROM b:1'], good: ['ARG A|nFROM b:1', '# a comment|nFROM b:1'] },
  DL3062: {
    bad: [
      'RUN go install golang.org/x/tools/gopls',
      'RUN go install golang.org/x/tools/gopls@latest',
      'RUN go get github.com/a/b',
    ],
    good: [
      'RUN go install golang.org/x/tools/gopls@v0.20.0',
      'RUN go install ./cmd/app',
      'RUN go build ./...',
      'RUN go run main.go',
    ],
  },
  DL3064: {
    bad: ['ARG NPM_TOKEN', 'ENV DB_PASSWORD=$X', 'ENV API_KEY x', 'ONBUILD ARG client_secret'],
    good: ['ENV DB_PASSWORD_FILE=/run/secrets/db', 'ARG VERSION=1', 'ENV MODE token'],
  },
  DL3065: {
    bad: ['FROM --platform=$TARGETPLATFORM a:1', 'FROM --platform=${TARGETPLATFORM} a:1'],
    good: ['FROM --platform=$BUILDPLATFORM a:1', 'FROM a:1'],
  },
  DL3066: {
    bad: ['USER app', 'USER root:0', 'USER "app"'],
    good: ['USER 10001', 'USER 10001:app', 'USER $UID'],
  },
  DL3067: {
    bad: ['COPY --from=build / /', 'COPY --from=a:1 ["/", "/"]'],
    good: ['COPY --from=build /out /', 'COPY --from=build / /mnt', 'COPY / /'],
  },
  DL3068: {
    bad: ['RUN npm ci', 'RUN npm install -g a@1', 'ONBUILD RUN npm install'],
    good: ['RUN --mount=type=cache,target=/home/node/.npm npm ci', 'RUN npm run build', 'RUN echo npm ci'],
  },
  DL3069: {
    bad: ['RUN cargo build --release', 'RUN --mount=type=cache,target=/root/.npm cargo install a'],
    good: ['RUN --mount=type=cache,target=/usr/local/cargo/registry cargo build', 'RUN cargo --version'],
  },
  DL3070: {
    bad: ['RUN go build ./...', 'RUN go mod download'],
    good: ['RUN --mount=type=cache,target=/go/pkg/mod go build', 'RUN go version'],
  },
  DL3071: {
    bad: ['RUN mvn -B package', 'RUN a && mvn dependency:resolve'],
    good: ['RUN --mount=type=cache,target=/root/.m2 mvn package', 'RUN mvn --version'],
  },
  DL3072: {
    bad: ['RUN ./gradlew build', 'RUN gradle build'],
    good: ['RUN --mount=type=cache,target=/root/.gradle ./gradlew build', 'RUN ls gradle'],
  },
  DL3073: {
    bad: ['RUN composer install --no-dev', 'RUN composer require a/b'],
    good: ['RUN --mount=type=cache,target=/root/.composer/cache composer install', 'RUN composer --version'],
  },
  DL3074: {
    bad: ['RUN dotnet restore', 'RUN dotnet publish -c Release', 'RUN nuget restore'],
    good: ['RUN --mount=type=cache,target=/root/.nuget/packages dotnet restore', 'RUN dotnet --info'],
  },
  DL3075: {
    bad: ['RUN pnpm install', 'RUN pnpm i'],
    good: ['RUN --mount=type=cache,id=pnpm,target=/pnpm/store pnpm install', 'RUN pnpm run build'],
  },
  DL3076: {
    bad: ['RUN mix deps.get', 'RUN MIX_ENV=prod mix compile'],
    good: ['RUN --mount=type=cache,target=/root/.hex mix deps.get', 'RUN mix release'],
  },
  DL3077: {
    bad: ['RUN bundle install', 'RUN gem install rails:7.1'],
    good: ['RUN --mount=type=cache,target=/usr/local/bundle bundle install', 'RUN bundle exec rake'],
  },
  DL4000: { bad: ['MAINTAINER me'], good: ['LABEL maintainer=me', 'RUN echo MAINTAINER'] },
  DL4001: {
    bad: ['RUN curl a|nRUN wget b', 'FROM a:1 AS x|nRUN curl a|nFROM x|nRUN wget b'],
    good: [
      'RUN curl a && curl b',
      'FROM a:1|nRUN curl a|nFROM b:1|nRUN wget b',
      'RUN apt-get install -y wget && curl a',
    ],
  },
  DL4003: { bad: ['CMD a|nCMD b'], good: ['CMD a', 'FROM a:1|nCMD a|nFROM b:1|nCMD b'] },
  DL4004: { bad: ['ENTRYPOINT a|nENTRYPOINT b'], good: ['ENTRYPOINT a', 'ENTRYPOINT a|nCMD b'] },
  DL4005: {
    bad: ['RUN ln -sf /bin/bash /bin/sh', 'RUN rm /bin/sh && ln -s /bin/bash /usr/bin/sh'],
    good: ['SHELL ["/bin/bash", "-c"]', 'RUN ln -s /bin/a /bin/show'],
  },
  DL4006: {
    bad: ['RUN curl x | gzip > y', 'RUN a && b | c', 'RUN <<E|na | b|nE', 'SHELL ["/bin/bash", "-c"]|nRUN a | b'],
    good: [
      'SHELL ["/bin/bash", "-o", "pipefail", "-c"]|nRUN a | b',
      'RUN set -o pipefail && a | b',
      'RUN set -euxo pipefail; a | b',
      'RUN a || b',
      'RUN echo "a | b"',
      'SHELL ["pwsh", "-Command"]|nRUN a | b',
    ],
  },
  DL4007: {
    bad: ['COPY . /app', 'COPY ./ ./', 'COPY ["." , "/app"]', 'COPY a . /app/'],
    good: ['COPY src ./src', 'COPY --from=build . /app', 'COPY .env.example /app/'],
  },
  RW1001: {
    bad: ['RUN echo "a', 'RUN if a; then b'],
    good: ['RUN echo a', 'SHELL ["pwsh", "-Command"]|nRUN if (a) { b }', 'RUN <<E|n#!/usr/bin/python3|nprint("(")|nE'],
  },
  RW2001: {
    bad: [
      'RUN curl -s https://x | sh',
      'RUN wget -qO- https://x | sudo bash -s -- -y',
      'RUN bash -c "$(curl -fsSL https://x)"',
      'RUN bash <(curl -s https://x)',
      'RUN curl x | tee y | python3',
      'RUN curl x | sudo -E bash -',
      'RUN eval "$(curl x)"',
      'RUN . <(wget -O- x)',
      'ONBUILD RUN curl x | sh',
      'RUN <<E|nset -e|ncurl x \\|n  | bash|nE',
      'RUN curl x | xargs -I{} sh -c {}',
      'RUN ["bash", "-c", "curl x | sh"]',
      "RUN sh -ec 'wget -O- x | sh'",
      'RUN /usr/bin/curl x | /bin/sh -e',
    ],
    good: [
      'RUN curl -fsSLo a.tar https://x && tar xf a.tar',
      'RUN curl x | tar xz',
      'RUN cat a.sh | sh',
      'RUN curl x | python3 -c "import json"',
      'RUN curl x | jq .a',
      'RUN echo "curl x | sh"',
      'RUN curl x | node parse.js',
    ],
  },
  RW2002: {
    bad: [
      'RUN echo root:secret | chpasswd',
      'RUN echo x | passwd --stdin root',
      'RUN useradd -p x app',
      'RUN passwd -d root',
      'RUN echo x | passwd app',
      'RUN echo a:b | sudo chpasswd',
    ],
    good: ['RUN useradd app', 'RUN passwd -l root', 'RUN mkdir -p /x && adduser -D app'],
  },
  RW2003: {
    bad: ['ADD https://x.example/a /a', 'ADD ["https://x.example/a", "/a"]', 'ADD https://github.com/a/b.git#main /b'],
    good: [
      'ADD --checksum=sha256:01 https://x.example/a /a',
      'ADD a.tar.gz /',
      `ADD https://github.com/a/b.git#${'0'.repeat(40)} /b`,
    ],
  },
  RW2004: {
    bad: [
      'ENV DB_PASSWORD=hunter22',
      'ENV API_KEY hunter22',
      'ARG NPM_TOKEN=abc',
      'RUN git clone https://me:hunter22@x.example/y',
      `RUN echo AKIA${'A'.repeat(16)}`,
      'ENV AWS_SECRET_ACCESS_KEY="x1y2"',
    ],
    good: [
      'ARG NPM_TOKEN',
      'ENV DB_PASSWORD_FILE=/run/secrets/db',
      'ENV TOKENIZERS_PARALLELISM=false',
      'ENV DB_PASSWORD=$X',
      'RUN --mount=type=secret,id=token make',
      'ENV ALLOW_EMPTY_PASSWORD=yes',
      'RUN git clone https://me:$TOKEN@x.example/y',
    ],
  },
  RW2005: {
    bad: [
      'RUN apt-get install -y --allow-unauthenticated a',
      'RUN apk add --allow-untrusted a.apk',
      'RUN yum install -y --nogpgcheck a',
      'RUN pip install --trusted-host x a',
      'RUN echo "deb [trusted=yes] http://x ./" > /etc/apt/sources.list.d/x.list',
      'RUN npm config set strict-ssl false',
    ],
    good: [
      'RUN apt-get install -y a',
      'RUN echo "deb [signed-by=/x.gpg] http://x ./" > /x.list',
      'RUN npm config set strict-ssl true',
    ],
  },
  RW2006: {
    bad: ['RUN chmod u+s /a', 'RUN chmod 4755 /a', 'RUN chmod -R 06755 /a', 'RUN chmod g+xs /a'],
    good: ['RUN chmod u-s /a', 'RUN chmod 0755 /a', 'RUN chmod 1777 /tmp', 'RUN chmod a-s /a'],
  },
  RW2007: {
    bad: ['RUN apt-get update', 'RUN set -e; apk update'],
    good: ['RUN apt-get update && apt-get install -y a', 'RUN yum install -y a', 'RUN git submodule update'],
  },
  DL3063: {
    bad: ['RUN a', 'FROM a:1 AS b|nUSER app|nFROM c:1'],
    good: ['USER app', 'FROM a:1 AS b|nUSER app|nFROM b', 'FROM gcr.io/distroless/static:nonroot'],
  },
  RW2009: {
    bad: [
      'RUN curl -k https://x',
      'RUN curl -fsSkL https://x',
      'RUN wget --no-check-certificate https://x',
      'RUN git -c http.sslVerify=false clone x',
      'ENV NODE_TLS_REJECT_UNAUTHORIZED=0',
    ],
    good: ['RUN curl -fsSL https://x', 'RUN wget https://x', 'ENV NODE_TLS_REJECT_UNAUTHORIZED=1', 'RUN make -k'],
  },
  RW2010: {
    bad: ['RUN --security=insecure a', 'RUN --network=host a'],
    good: ['RUN --network=none a', 'RUN a --network=host'],
  },
  RW2011: {
    bad: ['RUN chmod 777 /a', 'RUN chmod -R 0777 /a', 'RUN chmod a+w /a', 'RUN chmod o+rw /a', 'RUN chmod 666 /a'],
    good: ['RUN chmod 755 /a', 'RUN chmod 1777 /tmp', 'RUN chmod g+w /a', 'RUN chmod u+w /a', 'RUN chmod +x /a'],
  },
};
