package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthContents is about what a Dockerfile puts into the image, and what it starts.
func TestTruthContents(t *testing.T) {
	truths{kind: guard.KindDockerfile, file: "Dockerfile", cases: []truth{
		{"sudo", `
FROM debian:12
RUN apt-get update && apt-get install -y sudo
USER 1000:1000
`, "2:DH010 2:DH020"},
		{"sudo in a discarded stage", `
FROM debian:12 AS build
RUN apt-get update && apt-get install -y sudo
FROM debian:12
USER 1000:1000
`, ""},
		{"sudo without a password", `
FROM node:22
RUN echo 'node ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/node
USER 1000
`, "2:DH010"},
		{"sudo, removed", `
FROM debian:12
RUN apt-get update && apt-get install -y sudo && make-it && apt-get purge -y sudo
USER 1000:1000
`, "2:DH020"},
		{"setuid", `
FROM debian:12
RUN chmod u+s /usr/bin/backup
USER 1000:1000
`, "2:DH011"},
		{"setuid by number", `
FROM debian:12
RUN chmod 4755 /usr/bin/backup
USER 1000:1000
`, "2:DH011"},
		{"a file capability", `
FROM debian:12
RUN setcap cap_net_raw+ep /usr/bin/probe
USER 1000:1000
`, "2:DH011"},
		{"setuid taken away", `
FROM debian:12
RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +
USER 1000:1000
`, ""},
		{"tools", `
FROM alpine:3.21
RUN apk add --no-cache nmap socat curl
USER 1000:1000
`, "2:DH020 2:DH021"},
		{"tools in a stage for debugging", `
FROM alpine:3.21 AS server
USER 1000:1000
FROM server AS debug
USER 0
RUN apk add --no-cache strace
FROM server
`, ""},
		{"compilers, removed as a group", `
FROM alpine:3.21
RUN apk add --no-cache --virtual .build-deps gcc musl-dev && make-it && apk del .build-deps
USER 1000:1000
`, "2:DH020"},
		{"code that its user may change", `
FROM node:22
COPY --chown=node:node . /app
USER 1000
`, "2:DH018"},
		{"code that its user may change, by chown -R", `
FROM debian:12
COPY . /opt/app
RUN chown -R 1000:1000 /opt/app
USER 1000:1000
`, "3:DH018"},
		{"data that its user may change", `
FROM node:22
COPY . /app
RUN mkdir -p /app/data /var/log/app && chown -R node:node /app/data /var/log/app
USER 1000
`, ""},
		{"code that another user may change", `
FROM debian:12
COPY --chown=www-data . /app
USER 1000:1000
`, ""},
		{"chmod 777", `
FROM debian:12
COPY . /app
RUN chmod -R 777 /app
USER 1000:1000
`, "3:DH018"},
		{"chmod 1777 of /tmp", `
FROM debian:12
RUN chmod 1777 /tmp
USER 1000:1000
`, ""},
		{"code that is handed over in a discarded stage", `
FROM node:22 AS build
COPY --chown=node:node . /app
FROM node:22
COPY --from=build /app /app
USER 1000
`, ""},
		{"a password in ENV", `
FROM debian:12
ENV DB_PASSWORD=correct-horse
USER 1000:1000
`, "2:DH019"},
		{"a password in a discarded stage", `
FROM debian:12 AS build
ENV DB_PASSWORD=correct-horse
FROM debian:12
USER 1000:1000
`, ""},
		{"a password's file in ENV", `
FROM debian:12
ENV DB_PASSWORD_FILE=/run/secrets/db
USER 1000:1000
`, ""},
		{"a token asked for by ARG", `
FROM debian:12
ARG NPM_TOKEN
USER 1000:1000
`, "2:DH019"},
		{"a low port", `
FROM debian:12
EXPOSE 80
USER 1000:1000
`, "2:DH022"},
		{"a low port for root", `
FROM debian:12
EXPOSE 80
`, "1:DH001"},
		{"a high port", `
FROM debian:12
EXPOSE 8080 1024/udp
USER 1000:1000
`, ""},
		{"cron", `
FROM debian:12
CMD ["cron", "-f"]
`, "1:DH001 2:DH023"},
		{"sshd for a user", `
FROM debian:12
USER 1000:1000
ENTRYPOINT ["/usr/sbin/sshd", "-D"]
`, "3:DH023"},
		{"cron in a discarded stage", `
FROM debian:12 AS jobs
CMD ["cron", "-f"]
FROM debian:12
USER 1000:1000
CMD ["server"]
`, ""},
		{"cannot be parsed", `
FROM debian:12
RUNN true
`, "2:DH000"},
		{"waived, with a reason", `
# deckhand:ignore=DH001 an appliance without users
FROM debian:12
`, ""},
		{"waived without a reason", `
# deckhand:ignore=DH001
FROM debian:12
`, "1:DH030 2:DH001"},
		{"waived for nothing", `
FROM debian:12
# deckhand:ignore=DH002 it was needed once
USER 1000:1000
`, "2:DH030"},
	}}.run(t)
}
