package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthStages is about which instruction decides.
func TestTruthStages(t *testing.T) {
	truths{kind: guard.KindDockerfile, file: "Dockerfile", cases: []truth{
		{"the last USER counts: root", `
FROM node:22
USER 1000
RUN true
USER root
`, "4:DH003"},
		{"the last USER counts: not root", `
FROM node:22
USER root
RUN true
USER 1000
`, ""},
		{"USER of a parent stage", `
FROM node:22 AS base
USER 1000
FROM base
CMD ["node"]
`, ""},
		{"root of a parent stage", `
FROM node:22 AS base
USER root
FROM base
CMD ["node"]
`, "2:DH003"},
		{"a stage's name in other letters", `
FROM node:22 AS Base
USER 1000
FROM BASE
`, ""},
		{"a stage called like an image", `
FROM debian:12 AS node
USER 1000:1000
FROM node
`, ""},
		{"a base image by variable", `
ARG BASE=node:22
FROM ${BASE}
`, "2:DH001"},
		{"a base image by variable that has a user", `
ARG BASE=gcr.io/distroless/static-debian12:nonroot
FROM $BASE
`, ""},
		{"the base image sets 0", `
FROM corp/zero:1
`, "1:DH002"},
		{"the base image sets root", `
FROM corp/root:1
`, "1:DH003"},
		{"the base image sets an alias of root", `
FROM corp/toor:1
`, "1:DH004"},
		{"the base image's root is left", `
FROM corp/root:1
USER 1000:1000
`, ""},
		{"the base image is made non-root again by ONBUILD", `
FROM corp/onbuild:1
`, ""},
		{"ONBUILD USER is another image's", `
FROM debian:12
ONBUILD USER 1000:1000
`, "1:DH001"},
		{"the base image is not known", `
FROM registry.example.com/corp/base:1
CMD ["server"]
`, "1:DH026"},
		{"a name on a base image that is not known", `
FROM registry.example.com/corp/base:1
USER app
`, "2:DH026"},
		{"a number on a base image that is not known", `
FROM registry.example.com/corp/base:1
USER 1000
`, ""},
		{"root on a base image that is not known", `
FROM registry.example.com/corp/base:1
USER root
`, "2:DH003"},
		{"a user created on a base image that is not known", `
FROM registry.example.com/corp/base:1
RUN useradd -u 1300 app
USER app
`, "3:DH007"},
		{"a group alone", `
FROM debian:12
USER :audio
`, "2:DH001"},
		{"lower case", `
from debian:12
user root
`, "2:DH003"},
		{"a line that goes on", `
FROM debian:12
USER \
  root
`, "3:DH003"},
		{"another escape character", "# escape=`\nFROM debian:12\nUSER `\n  root\n", "4:DH003"},
		{"Windows' line ends", "FROM debian:12\r\nUSER root\r\n", "2:DH003"},
		{"no line end", "FROM debian:12\nUSER root", "2:DH003"},
		{"quotes", `
FROM debian:12
USER "0"
`, "2:DH002"},
		{"spaces", "FROM debian:12\n  USER   0  \n", "2:DH002"},
		{"in a comment", `
FROM debian:12
# USER root
USER 1000:1000
`, ""},
		{"in a heredoc", `
FROM debian:12
COPY <<EOF /etc/motd
USER root
EOF
USER 1000:1000
`, ""},
		{"a default where the variable is not set", `
FROM debian:12
ARG APP
USER ${APP:-1000:1000}
`, ""},
		{"a default that is root", `
FROM debian:12
ARG APP
USER ${APP:-0}
`, "3:DH002"},
		{"a variable that nobody sets", `
FROM debian:12
USER $APP
`, "2:DH001"},
		{"a build argument without a value", `
FROM debian:12
ARG APP
USER $APP
`, "3:DH026"},
		{"an argument of before FROM does not reach the stage", `
ARG APP=1000:1000
FROM debian:12
USER $APP
`, "3:DH001"},
		{"an argument of before FROM, declared again", `
ARG APP=1000:1000
FROM debian:12
ARG APP
USER $APP
`, ""},
		{"ENV behind ARG", `
FROM debian:12
ARG APP=0
ENV APP=1000:1000
USER $APP
`, ""},
		{"ARG behind ENV", `
FROM debian:12
ENV APP=1000:1000
ARG APP=0
USER $APP
`, "4:DH002"},
		{"a variable of the base image", `
FROM mcr.microsoft.com/dotnet/aspnet:9.0
USER $APP_UID
`, ""},
		{"a variable of a parent stage", `
FROM debian:12 AS base
ENV APP=0
FROM base
USER $APP
`, "4:DH002"},
		{"user and group by variables", `
FROM debian:12
ARG UID=1300
ARG GID=0
USER ${UID}:${GID}
`, "4:DH005"},
		{"single quotes keep a variable", `
FROM debian:12
ENV APP=1000
USER '$APP'
`, "3:DH008"},
	}}.run(t)
}
