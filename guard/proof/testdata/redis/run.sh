#!/bin/sh
# Run redis with exactly what was proven, as proof.md says. Flags of `deckhand run` may follow:
#   ./run.sh -d --name redis
#
# If the image is not there yet (DIR is this directory):
#   deckhand build -t redis:hardened -f DIR/Dockerfile .
#
# The same without a profile:
#   deckhand run -u 9000:9000 --read-only --cap-drop ALL --security-opt no-new-privileges --security-opt seccomp=DIR/seccomp.json --sysctl net.ipv4.ip_unprivileged_port_start=1024 --tmpfs /run/redis:mode=0755,uid=9000,gid=9000 --tmpfs /tmp:mode=1777,uid=9000,gid=9000 -v redis-data:/var/lib/redis -p 127.0.0.1:6379:6379 redis:hardened
#
# With docker:
#   docker run -u 9000:9000 --read-only --cap-drop ALL --security-opt no-new-privileges --security-opt seccomp=DIR/seccomp-runc.json --sysctl net.ipv4.ip_unprivileged_port_start=1024 --tmpfs /run/redis:mode=0755,uid=9000,gid=9000 --tmpfs /tmp:mode=1777,uid=9000,gid=9000 -v redis-data:/var/lib/redis -p 127.0.0.1:6379:6379 redis:hardened
set -eu
dir=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec deckhand run --profile "$dir" \
  -v redis-data:/var/lib/redis \
  -p 127.0.0.1:6379:6379 \
  "$@" redis:hardened
