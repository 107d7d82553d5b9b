package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// What is checked: the figures of the bars.
const (
	checkedFiles    = 5000
	checkedImages   = 1000
	registryJobs    = 8
	maxCheckPeakMiB = 150
)

// compareCheck: the Dockerfiles of a directory, by BuildKit's parser alone and by check.
func compareCheck(ctx context.Context, l *lab) (*result, error) {
	floor, err := l.floor(ctx)
	if err != nil {
		return nil, err
	}
	all, few := l.path("dockerfiles"), l.path("few")
	for dir, n := range map[string]int{all: checkedFiles, few: checkedFiles / 10} {
		if err := writeDockerfiles(dir, n); err != nil {
			return nil, err
		}
	}
	check := func(dir string, flags ...string) []string {
		return append([]string{l.deckhand, "check", "--offline", "--fail-on", "off", dir}, flags...)
	}
	const parser, text, fewer = "BuildKit's parser alone", "deckhand check", "deckhand check, a tenth of the files"
	r := &result{
		title: fmt.Sprintf("Checking %d Dockerfiles in one directory", checkedFiles),
		note: "Without network and with every finding written out. The parser alone is a program that reads and parses the " +
			"files with as many goroutines as check has.",
		bars:  []bar{{text, parser, 3}},
		peaks: []peakBar{{subject: text, atMostMiB: maxCheckPeakMiB}, {subject: text, to: fewer, atMost: 1.5}},
	}
	return r, r.measure(ctx, l.slow(),
		subject{name: parser, args: []string{floor, "parse", all}},
		subject{name: text, args: check(all)},
		subject{name: "deckhand check --format sarif", args: check(all, "--format", "sarif")},
		subject{name: fewer, args: check(few)},
	)
}

// compareRegistry: the images of a registry on loopback, by a plain client and by check.
func compareRegistry(ctx context.Context, l *lab) (*result, error) {
	floor, err := l.floor(ctx)
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	names, err := pushImages(ctx, host, checkedImages)
	if err != nil {
		return nil, err
	}
	const plain, check = "a plain HTTP client", "deckhand check"
	r := &result{
		title: fmt.Sprintf("Checking %d images of a registry on loopback", checkedImages),
		note:  fmt.Sprintf("One request for the manifest and one for the config of each, %d at once, in both.", registryJobs),
		bars:  []bar{{check, plain, 1.5}},
		peaks: []peakBar{{subject: check, atMostMiB: maxCheckPeakMiB}},
	}
	jobs := strconv.Itoa(registryJobs)
	return r, r.measure(ctx, l.slow(),
		subject{name: plain, args: []string{floor, "fetch", server.URL, strconv.Itoa(checkedImages), jobs}},
		subject{name: check, args: append([]string{l.deckhand, "check", "--fail-on", "off", "--jobs", jobs}, names...)},
	)
}

// floor builds the program that does the least.
func (l *lab) floor(ctx context.Context) (string, error) {
	path := l.path("bin/floor")
	return path, l.do(ctx, "go", "build", "-trimpath", "-o", path, "./bench/floor")
}

// pushImages puts n small images into a registry and returns their names.
func pushImages(ctx context.Context, host string, n int) ([]string, error) {
	names := make([]string, 0, n)
	for i := range n {
		config, err := empty.Image.ConfigFile()
		if err != nil {
			return nil, err
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", "amd64"
		config.Config.User = []string{"", "root", "9000", "1000:1000"}[i%4]
		config.Config.Cmd = []string{"/bin/service", strconv.Itoa(i)}
		img, err := mutate.ConfigFile(empty.Image, config)
		if err != nil {
			return nil, err
		}
		to, err := name.ParseReference(fmt.Sprintf("%s/check/%d:latest", host, i), name.Insecure)
		if err != nil {
			return nil, err
		}
		if err := remote.Write(to, img, remote.WithContext(ctx)); err != nil {
			return nil, err
		}
		names = append(names, "docker://"+to.Name())
	}
	return names, nil
}

// writeDockerfiles fills dir with n Dockerfiles of several shapes, no two the same.
func writeDockerfiles(dir string, n int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	shapes := dockerfileShapes()
	for i := range n {
		text := strings.NewReplacer("@N@", strconv.Itoa(i), "@BASE@", fmt.Sprintf("registry.example.com/base/%d:%d", i%50, i%7)).
			Replace(shapes[i%len(shapes)])
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("Dockerfile.%04d", i)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// dockerfileShapes are Dockerfiles as people write them: a service from a distribution's package, a compiled program
// in two stages, a Node and a Python application, an image with an entrypoint that gives up root.
func dockerfileShapes() []string {
	return []string{
		`FROM debian:12
LABEL org.opencontainers.image.title="service @N@"
ENV LANG=C.UTF-8 SERVICE_HOME=/srv/service-@N@
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates \
      redis-server \
      tzdata \
 && rm -rf /var/lib/apt/lists/*
COPY redis.conf /etc/redis/redis.conf
EXPOSE 6379
VOLUME ["/data"]
WORKDIR /data
CMD ["redis-server", "/etc/redis/redis.conf"]
`,
		`# syntax=docker/dockerfile:1
ARG GO_VERSION=1.26
FROM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=v0.@N@
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/service ./cmd/service

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/service /service
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/service"]
CMD ["--listen", ":8080", "--shard", "@N@"]
`,
		`FROM node:22-slim AS deps
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev && npm cache clean --force

FROM node:22-slim
ENV NODE_ENV=production \
    PORT=3000 \
    APP_NAME=app-@N@
WORKDIR /app
COPY --from=deps --chown=node:node /app/node_modules ./node_modules
COPY --chown=node:node . .
USER node
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=3s CMD wget -qO- http://localhost:3000/health || exit 1
CMD ["node", "server.js"]
`,
		`FROM @BASE@
ARG DEBIAN_FRONTEND=noninteractive
RUN set -eux; \
    groupadd --gid 1001 app; \
    useradd --uid 1001 --gid app --create-home --shell /usr/sbin/nologin app; \
    mkdir -p /opt/app/logs; \
    chown -R app:app /opt/app/logs
COPY requirements.txt /opt/app/
RUN pip install --no-cache-dir -r /opt/app/requirements.txt
COPY src/ /opt/app/src/
ENV PYTHONUNBUFFERED=1 DATABASE_URL=postgres://db-@N@/app
WORKDIR /opt/app
USER app
EXPOSE 8000/tcp
ENTRYPOINT ["gunicorn"]
CMD ["--bind", "0.0.0.0:8000", "src.main:app"]
`,
		`FROM alpine:3.22
# The service number @N@ starts as root and gives it up.
RUN addgroup -S web && adduser -S -G web -h /var/lib/web web \
 && apk add --no-cache nginx su-exec curl
COPY --chmod=755 entrypoint.sh /entrypoint.sh
COPY <<EOF /etc/nginx/http.d/default.conf
server {
  listen 8080;
  root /var/lib/web/@N@;
}
EOF
EXPOSE 80 443
ENTRYPOINT ["su-exec", "web", "/entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
`,
		`FROM @BASE@ AS builder
USER root
RUN apt-get update && apt-get install -y build-essential git && make -j4 -C /usr/src/app-@N@

FROM @BASE@
USER root
COPY --from=builder /usr/src/app/bin /usr/local/bin
RUN chmod 0755 /usr/local/bin/* && ldconfig
ENV API_TOKEN=changeme
CMD /usr/local/bin/app-@N@ --foreground
`,
	}
}
