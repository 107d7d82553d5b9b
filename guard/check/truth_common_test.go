package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthCommon is about Dockerfiles as documents and well-known images write them.
func TestTruthCommon(t *testing.T) {
	truths{kind: guard.KindDockerfile, file: "Dockerfile", cases: []truth{
		{"a script in the context that drops by setpriv", `
FROM alpine:3.21
RUN set -eux; \
	addgroup -S -g 1000 redis; \
	adduser -S -G redis -u 999 redis
RUN mkdir /data && chown redis:redis /data
VOLUME /data
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
-- docker-entrypoint.sh --
#!/bin/sh
set -e
if [ "$1" = 'redis-server' -a "$(id -u)" = '0' ]; then
	find . \! -user redis -exec chown redis '{}' +
	exec setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
fi
exec "$@"
`, "1:DH009"},
		{"the same with another command", `
FROM redis:7
CMD ["redis-cli"]
`, "1:DH001"},
		{"users that may be there already, and reserved", `
FROM alpine:3.21
ARG UID=101
ARG GID=101
RUN addgroup -g $GID -S nginx || true \
    && adduser -S -D -H -u $UID -h /var/cache/nginx -s /sbin/nologin -G nginx -g nginx nginx || true
RUN chown -R $UID:0 /var/cache/nginx && chmod -R g+w /var/cache/nginx
EXPOSE 8080
USER $UID
`, "8:DH006"},
		{"a user of the last stage, by adduser with long options", `
FROM debian:12 AS base
WORKDIR /app
ARG UID=10001
RUN adduser \
    --disabled-password \
    --gecos "" \
    --home "/nonexistent" \
    --shell "/sbin/nologin" \
    --no-create-home \
    --uid "${UID}" \
    appuser
USER appuser
COPY . .
EXPOSE 8000
CMD gunicorn app:app --bind=0.0.0.0:8000
`, "12:DH007"},
		{"passwd and group of a builder stage on scratch", `
FROM golang:1.26 AS builder
ENV USER=appuser
ENV UID=10001
RUN adduser --disabled-password --gecos "" --home /nonexistent --no-create-home --uid "${UID}" "${USER}"
RUN go build -o /go/bin/hello
FROM scratch
COPY --from=builder /etc/passwd /etc/passwd
COPY --from=builder /etc/group /etc/group
COPY --from=builder /go/bin/hello /go/bin/hello
USER appuser:appuser
ENTRYPOINT ["/go/bin/hello"]
`, "10:DH007"},
		{"compilers in the builder stage only", `
FROM golang:1.26 AS builder
RUN apt-get update && apt-get install -y gcc git
RUN go build -o /app
FROM alpine:3.21
RUN adduser -D -g '' -u 1300 appuser
COPY --from=builder /app /app
USER 1300
ENTRYPOINT ["/app"]
`, ""},
		{"a development container with sudo", `
FROM debian:12
ARG USERNAME=vscode
ARG USER_UID=1000
ARG USER_GID=$USER_UID
RUN groupadd --gid $USER_GID $USERNAME \
    && useradd --uid $USER_UID --gid $USER_GID -m $USERNAME \
    && apt-get update \
    && apt-get install -y sudo \
    && echo $USERNAME ALL=\(root\) NOPASSWD:ALL > /etc/sudoers.d/$USERNAME \
    && chmod 0440 /etc/sudoers.d/$USERNAME
USER $USERNAME
`, "5:DH010 5:DH020 11:DH007"},
		{"a home below /var", `
FROM debian:12
ARG user=jenkins
ARG uid=1300
ENV JENKINS_HOME=/var/jenkins_home
RUN mkdir -p $JENKINS_HOME \
  && chown ${uid}:${uid} $JENKINS_HOME \
  && useradd -d "$JENKINS_HOME" -u ${uid} -l -m -s /bin/bash ${user}
USER ${uid}
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/jenkins.sh"]
`, ""},
		{"the user's directories are made with install", `
FROM debian:12
RUN useradd -u 1300 app && install -d -o app -g app /var/lib/app
USER 1300
`, ""},
		{"the code is node's, as documents say", `
FROM node:22
WORKDIR /usr/src/app
COPY --chown=node:node package*.json ./
RUN npm ci
COPY --chown=node:node . .
USER node
EXPOSE 3000
CMD ["node", "server.js"]
`, "3:DH018 5:DH018 6:DH007"},
		{"a user that a package brings", `
FROM debian:12
RUN apt-get update && apt-get install -y postgresql
USER postgres
`, "2:DH020 3:DH007"},
		{"a script that may do anything", `
FROM debian:12
RUN ./install.sh
USER app
`, "3:DH026"},
		{"an archive that may hold anything", `
FROM debian:12
ADD rootfs.tar.gz /
USER app
`, "3:DH026"},
		{"id || useradd", `
FROM debian:12
RUN id -u app >/dev/null 2>&1 || useradd -u 1300 app
USER app
`, "3:DH007"},
		{"two lines that must both go", `
FROM debian:12
ENV AWS_ACCESS_KEY=AKIAABCDEFGHIJKLMNOP
ARG DB_PASSWORD=
USER 1000:1000
`, "2:DH019 3:DH019"},
	}}.run(t)
}
