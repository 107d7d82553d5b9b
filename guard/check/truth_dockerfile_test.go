package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthTable is every row of the table of what other checkers get wrong.
func TestTruthTable(t *testing.T) {
	truths{kind: guard.KindDockerfile, file: "Dockerfile", cases: []truth{
		{"no USER", `
FROM debian:12
CMD ["server"]
`, "1:DH001"},
		{"USER 0", `
FROM debian:12
USER 0
`, "2:DH002"},
		{"USER 0:0", `
FROM debian:12
USER 0:0
`, "2:DH002"},
		{"USER root:root", `
FROM debian:12
USER root:root
`, "2:DH003"},
		{"USER 00", `
FROM debian:12
USER 00
`, "2:DH002"},
		{"USER +0", `
FROM debian:12
USER +0
`, "2:DH002"},
		{"USER -0", `
FROM debian:12
USER -0
`, "2:DH002"},
		{"a passwd name with uid 0", `
FROM corp/admins:1
USER toor
`, "2:DH004"},
		{"USER only in a builder stage", `
FROM golang:1.26 AS build
USER 1000:1000
RUN go build -o /server .
FROM debian:12
COPY --from=build /server /server
CMD ["/server"]
`, "4:DH001"},
		{"base image already non-root, no USER", `
FROM gcr.io/distroless/static-debian12:nonroot
COPY server /server
`, ""},
		{"root only in a discarded stage", `
FROM golang:1.26 AS build
USER root
RUN go build -o /server .
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /server /server
`, ""},
		{"uid 1", `
FROM debian:12
USER 1:1
`, "2:DH006"},
		{"uid 499", `
FROM debian:12
USER 499:499
`, "2:DH006"},
		{"uid 500", `
FROM debian:12
USER 500:500
`, ""},
		{"USER $VAR set by ARG to root", `
FROM debian:12
ARG APP=root
USER $APP
`, "3:DH003"},
		{"USER $VAR set by ARG to a number", `
FROM debian:12
ARG APP=1000:1000
USER $APP
`, ""},
		{"USER $VAR set by ENV to 0", `
FROM debian:12
ENV APP=0
USER ${APP}
`, "3:DH002"},
		{"USER $VAR set by ENV to a number", `
FROM debian:12
ENV APP=1000:1000
USER ${APP}
`, ""},
	}}.run(t)
}

// TestTruthUsers is about whom a Dockerfile makes and becomes.
func TestTruthUsers(t *testing.T) {
	truths{kind: guard.KindDockerfile, file: "Dockerfile", cases: []truth{
		{"gid 0 by number", `
FROM debian:12
USER 1000:0
`, "2:DH005"},
		{"gid 0 by name", `
FROM debian:12
USER 1000:root
`, "2:DH005"},
		{"gid 0 because there is no entry", `
FROM debian:12
USER 9000
`, "2:DH005"},
		{"gid 0 by the user's entry", `
FROM debian:12
RUN useradd -u 1000 -g 0 app
USER 1000
`, "3:DH005"},
		{"a number with an entry has its group", `
FROM node:22
USER 1000
`, ""},
		{"group by name", `
FROM debian:12
USER 1000:audio
`, ""},
		{"a name", `
FROM node:22
USER node
`, "2:DH007"},
		{"a name with a group", `
FROM node:22
USER node:audio
`, "2:DH007"},
		{"nobody", `
FROM debian:12
USER nobody
`, "2:DH007"},
		{"a name that the base image sets", `
FROM registry.example.com/shop:1
`, "1:DH007"},
		{"a system's name", `
FROM debian:12
USER www-data
`, "2:DH006 2:DH007"},
		{"a system's name that the base image sets", `
FROM corp/web:1
`, "1:DH006 1:DH007"},
		{"a reserved uid of the base image", `
FROM nginxinc/nginx-unprivileged:1.27
`, "1:DH006"},
		{"nothing creates it", `
FROM debian:12
USER app
`, "2:DH008"},
		{"created in another stage", `
FROM debian:12 AS build
RUN useradd app
FROM debian:12
USER app
`, "4:DH008"},
		{"created after it is used", `
FROM debian:12
USER app
RUN useradd app
`, "2:DH008"},
		{"a group that nothing creates", `
FROM debian:12
USER 1000:app
`, "2:DH008"},
		{"out of range", `
FROM debian:12
USER 4294967295
`, "2:DH008"},
		{"deleted again", `
FROM node:22
RUN userdel node
USER node
`, "3:DH008"},
		{"scratch without USER", `
FROM scratch
COPY server /server
CMD ["/server"]
`, "1:DH001"},
		{"scratch with a number", `
FROM scratch
USER 65534:65534
`, ""},
		{"scratch with a number alone", `
FROM scratch
USER 65534
`, "2:DH005"},
		{"scratch has no names, not even root", `
FROM scratch
USER root
`, "2:DH008"},
		{"scratch with a passwd file from another stage", `
FROM debian:12 AS build
RUN useradd -u 1500 app
FROM scratch
COPY --from=build /etc/passwd /etc/group /etc/
USER app
`, "5:DH007"},
		{"useradd", `
FROM debian:12
RUN useradd --create-home app
USER app
`, "3:DH007"},
		{"useradd -r", `
FROM debian:12
RUN groupadd -r app && useradd -r -g app app
USER app
`, "3:DH007"},
		{"useradd with a reserved uid", `
FROM debian:12
RUN useradd -u 101 app
USER app
`, "3:DH006 3:DH007"},
		{"useradd with a uid by build argument", `
FROM debian:12
ARG UID=1234
RUN useradd -u ${UID} app
USER ${UID}
`, ""},
		{"useradd -o -u 0", `
FROM debian:12
RUN useradd -o -u 0 -g 0 app
USER app
`, "3:DH004"},
		{"adduser of Debian", `
FROM debian:12
RUN adduser --disabled-password --gecos "" --uid 1300 app
USER 1300
`, ""},
		{"adduser of BusyBox", `
FROM alpine:3.21
RUN adduser -D -u 1300 app
USER 1300
`, ""},
		{"adduser -S of BusyBox gives a reserved uid", `
FROM alpine:3.21
RUN addgroup -S app && adduser -S -G app app
USER app
`, "3:DH006 3:DH007"},
		{"a line in the passwd file", `
FROM debian:12
RUN echo 'app:x:1300:1300::/home/app:/bin/sh' >> /etc/passwd
USER 1300
`, ""},
		{"a line in the passwd file with uid 0", `
FROM debian:12
RUN echo 'app:x:0:0::/root:/bin/sh' >> /etc/passwd
USER app
`, "3:DH004"},
		{"usermod makes it root", `
FROM node:22
RUN usermod -o -u 0 node
USER node
`, "3:DH004"},
		{"usermod gives another uid", `
FROM node:22
RUN usermod -u 1300 node && groupmod -g 1300 node
USER 1300
`, ""},
		{"a script in a heredoc", `
FROM debian:12
RUN <<EOF
groupadd -g 1300 app
useradd -u 1300 -g app app
EOF
USER 1300
`, ""},
		{"several lines of one instruction", `
FROM debian:12
RUN set -eux; \
    # who runs it
    useradd \
      --uid 1300 \
      app
USER 1300
`, ""},
		{"sed over the passwd file", `
FROM node:22
RUN sed -i s/1000/0/ /etc/passwd
USER node
`, "3:DH026"},
		{"a stage's user made in a parent stage", `
FROM debian:12 AS base
RUN useradd -u 1300 app
FROM base
USER 1300
`, ""},
	}}.run(t)
}

// TestTruthDrops is about what starts as root and becomes somebody else.
func TestTruthDrops(t *testing.T) {
	truths{kind: guard.KindDockerfile, file: "Dockerfile", cases: []truth{
		{"gosu", `
FROM node:22
ENTRYPOINT ["gosu", "node", "server"]
`, "1:DH009"},
		{"su-exec", `
FROM alpine:3.21
RUN adduser -D -u 1300 app
ENTRYPOINT ["su-exec", "app", "server"]
`, "1:DH009"},
		{"setpriv", `
FROM debian:12
CMD ["setpriv", "--reuid=1300", "--regid=1300", "--clear-groups", "server"]
`, "1:DH009"},
		{"s6-setuidgid", `
FROM corp/app:1
CMD ["s6-setuidgid", "app", "server"]
`, "1:DH009"},
		{"chroot --userspec", `
FROM debian:12
CMD ["chroot", "--userspec=1300:1300", "/", "server"]
`, "1:DH009"},
		{"su -c in a shell's line", `
FROM corp/app:1
CMD su app -c server
`, "1:DH009"},
		{"exec in a shell's line", `
FROM corp/app:1
CMD chown app /data && exec gosu app server
`, "1:DH009"},
		{"behind tini", `
FROM node:22
ENTRYPOINT ["tini", "--", "gosu", "node"]
CMD ["server"]
`, "1:DH009"},
		{"gosu to root", `
FROM debian:12
ENTRYPOINT ["gosu", "root", "server"]
`, "1:DH001"},
		{"root by name, then gosu", `
FROM node:22
USER root
ENTRYPOINT ["gosu", "node", "server"]
`, "2:DH009"},
		{"gosu in a RUN only", `
FROM node:22
RUN gosu node true
CMD ["server"]
`, "1:DH001"},
		{"gosu as an argument", `
FROM debian:12
CMD ["echo", "gosu", "app"]
`, "1:DH001"},
		{"a script of the base image that always drops", `
FROM corp/always:1
`, "1:DH009"},
		{"the official script", `
FROM redis:7
`, "1:DH009"},
		{"the official script with a user", `
FROM redis:7
USER 999
`, ""},
		{"the official script left out", `
FROM redis:7
ENTRYPOINT ["redis-server"]
`, "1:DH001"},
		{"the official script starts something else", `
FROM redis:7
CMD ["sh"]
`, "1:DH001"},
		{"a script of this Dockerfile", `
FROM node:22
COPY --chmod=755 <<EOF /entrypoint.sh
#!/bin/sh
exec gosu node "$@"
EOF
ENTRYPOINT ["/entrypoint.sh"]
CMD ["server"]
`, "1:DH009"},
		{"supervisord stays root", `
FROM debian:12
CMD ["supervisord", "-n"]
`, "1:DH001"},
	}}.run(t)
}
