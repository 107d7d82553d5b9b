package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthCompose is about compose files.
func TestTruthCompose(t *testing.T) {
	truths{kind: guard.KindCompose, file: "compose.yaml", cases: []truth{
		{"no user, and the image sets none", `
services:
  db:
    image: debian:12
`, "3:DH001"},
		{"no user, and the image has one", `
services:
  web:
    image: gcr.io/distroless/static-debian12:nonroot
`, ""},
		{"no user, and the image has a reserved one", `
services:
  web:
    image: nginxinc/nginx-unprivileged:1.27
`, "3:DH006"},
		{"no user, and the image is not known", `
services:
  web:
    image: registry.example.com/corp/web:1
`, "3:DH026"},
		{"a user makes a root image harmless", `
services:
  db:
    image: corp/root:1
    user: "1000:1000"
`, ""},
		{"root makes a harmless image root", `
services:
  web:
    image: gcr.io/distroless/static-debian12:nonroot
    user: root
`, "4:DH003"},
		{"a number that YAML takes for one", `
services:
  web:
    image: debian:12
    user: "0"
`, "4:DH002"},
		{"00:00", `
services:
  web:
    image: debian:12
    user: "00:00"
`, "4:DH002"},
		{"a name with uid 0", `
services:
  web:
    image: corp/admins:1
    user: toor
`, "4:DH004"},
		{"a name", `
services:
  web:
    image: node:22
    user: node
`, ""},
		{"a name that the image does not have", `
services:
  web:
    image: debian:12
    user: node
`, "4:DH008"},
		{"gid 0", `
services:
  web:
    image: node:22
    user: "1000:0"
`, "4:DH005"},
		{"gid 0 because there is no entry", `
services:
  web:
    image: debian:12
    user: "1000"
`, "4:DH005"},
		{"a user by variable with a default", `
services:
  web:
    image: debian:12
    user: ${APP_USER_OF_TEST:-0}
`, "4:DH002"},
		{"a user by variable without a value", `
services:
  web:
    image: debian:12
    user: ${APP_USER_OF_TEST}
`, "4:DH026"},
		{"a variable that .env sets", `
services:
  web:
    image: debian:12
    user: ${APP_USER_OF_TEST}
-- .env --
APP_USER_OF_TEST=1000:1000
`, ""},
		{"two services", `
services:
  web:
    image: gcr.io/distroless/static-debian12:nonroot
  db:
    image: debian:12
`, "5:DH001"},
		{"an anchor", `
x-base: &base
  user: "0"
services:
  web:
    <<: *base
    image: debian:12
`, "2:DH002"},
		{"extends", `
services:
  base:
    image: debian:12
    user: "1000:1000"
  web:
    extends: base
`, ""},
		{"built from a Dockerfile with a user", `
services:
  web:
    build: .
-- Dockerfile --
FROM debian:12
USER 1000:1000
`, ""},
		{"built from a Dockerfile without", `
services:
  web:
    build: ./app
-- app/Dockerfile --
FROM debian:12
`, "3:DH001"},
		{"built from a Dockerfile's other stage", `
services:
  web:
    build:
      context: .
      target: server
-- Dockerfile --
FROM debian:12 AS server
USER 1000:1000
FROM server AS debug
USER root
`, ""},
		{"built with an argument", `
services:
  web:
    build:
      context: .
      args: {APP: root}
-- Dockerfile --
FROM debian:12
ARG APP=1000:1000
USER $APP
`, "4:DH003"},
		{"built in the file", `
services:
  web:
    build:
      dockerfile_inline: |
        FROM debian:12
        USER 1000:1000
`, ""},
		{"the official script drops", `
services:
  cache:
    image: redis:7
`, "3:DH009"},
		{"the official script with a user", `
services:
  cache:
    image: redis:7
    user: "999:999"
`, ""},
		{"the official script left out", `
services:
  cache:
    image: redis:7
    entrypoint: [redis-server]
`, "3:DH001"},
		{"gosu in the command", `
services:
  web:
    image: node:22
    entrypoint: [gosu, node, server]
`, "3:DH009"},
		{"cron", `
services:
  jobs:
    image: debian:12
    user: "1000:1000"
    command: cron -f
`, "5:DH023"},
	}}.run(t)
}

// TestTruthComposeGrants is about what compose files give to services.
func TestTruthComposeGrants(t *testing.T) {
	truths{kind: guard.KindCompose, file: "compose.yaml", cases: []truth{
		{"docker.sock", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
`, "5:DH012"},
		{"docker.sock, read-only", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    volumes:
      - /run/docker.sock:/docker.sock:ro
`, "6:DH012"},
		{"docker.sock, long form", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    volumes:
      - type: bind
        source: /var/run/docker.sock
        target: /docker.sock
`, "7:DH012"},
		{"docker.sock and root", `
services:
  agent:
    image: debian:12
    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
`, "3:DH001 4:DH012"},
		{"privileged", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    privileged: true
`, "5:DH013"},
		{"not privileged", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    privileged: false
`, ""},
		{"cap_add", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    cap_add: [SYS_ADMIN]
`, "5:DH014"},
		{"cap_drop", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    cap_drop: [ALL]
`, ""},
		{"pid: host", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    pid: host
`, "5:DH015"},
		{"pid of another service", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    pid: service:web
  web:
    image: gcr.io/distroless/static-debian12:nonroot
`, ""},
		{"network_mode, ipc, userns_mode, uts", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    network_mode: host
    ipc: host
    userns_mode: host
    uts: host
`, "5:DH015 6:DH015 7:DH015 8:DH015"},
		{"a low port in the host's network", `
services:
  web:
    image: debian:12
    user: "1000:1000"
    network_mode: host
    expose: ["80"]
`, "5:DH015 6:DH022"},
		{"a low port", `
services:
  web:
    image: debian:12
    user: "1000:1000"
    ports: ["80:80"]
`, ""},
		{"unconfined", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    security_opt:
      - seccomp:unconfined
      - apparmor=unconfined
      - label:disable
      - systempaths=unconfined
`, "6:DH017 7:DH017 8:DH017 9:DH017"},
		{"a profile of its own", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    security_opt: ["seccomp:./profile.json"]
`, ""},
		{"no-new-privileges switched off", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    security_opt: ["no-new-privileges:false"]
`, "5:DH016"},
		{"no-new-privileges", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    security_opt: ["no-new-privileges:true"]
`, ""},
		{"host paths", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    volumes:
      - /:/host:ro
      - /etc/localtime:/etc/localtime:ro
      - /srv/data:/data
      - data:/var/lib/data
volumes:
  data: {}
`, "6:DH028"},
		{"a host path as root of a project", `
services:
  web:
    image: debian:12
    user: "1000:1000"
    volumes: [".:/app"]
`, ""},
		{"a volume that is a host path", `
services:
  web:
    image: debian:12
    user: "1000:1000"
    volumes: ["conf:/conf"]
volumes:
  conf:
    driver_opts: {type: none, o: bind, device: /etc}
`, "5:DH028"},
		{"devices", `
services:
  agent:
    image: debian:12
    user: "1000:1000"
    devices: ["/dev/ttyUSB0:/dev/ttyUSB0"]
`, "5:DH029"},
		{"a password", `
services:
  db:
    image: debian:12
    user: "1000:1000"
    environment:
      POSTGRES_PASSWORD: correct-horse
      POSTGRES_USER: app
`, "6:DH019"},
		{"a password in a list", `
services:
  db:
    image: debian:12
    user: "1000:1000"
    environment:
      - POSTGRES_PASSWORD=correct-horse
`, "6:DH019"},
		{"a password from the environment", `
services:
  db:
    image: debian:12
    user: "1000:1000"
    environment:
      - POSTGRES_PASSWORD
      - PGPASSWORD=${PGPASSWORD_OF_TEST:-}
`, ""},
		{"cannot be parsed", `
services:
  web:
    image: debian:12
   user: "1000:1000"
`, "4:DH000"},
		{"waived behind the value", `
services:
  web:
    image: debian:12 # deckhand:ignore=DH001 development only
`, ""},
	}}.run(t)
}
