#!/bin/sh
# Run cron with exactly what was proven, as proof.md says. Flags of `deckhand run` may follow:
#   ./run.sh -d --name cron
#
# If the image is not there yet (DIR is this directory):
#   deckhand build -t cron:hardened -f DIR/Dockerfile .
#
# The same without a profile:
#   deckhand run -u 0:0 --cap-drop ALL --cap-add SETGID --cap-add SETUID --security-opt no-new-privileges=false --sysctl net.core.somaxconn=1024 --sysctl net.ipv4.ip_unprivileged_port_start=1024 -v cron-var-spool-cron:/var/spool/cron cron:hardened
#
# With docker:
#   docker run -u 0:0 --cap-drop ALL --cap-add SETGID --cap-add SETUID --security-opt no-new-privileges=false --sysctl net.core.somaxconn=1024 --sysctl net.ipv4.ip_unprivileged_port_start=1024 -v cron-var-spool-cron:/var/spool/cron cron:hardened
set -eu
dir=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec deckhand run --profile "$dir" \
  -v cron-var-spool-cron:/var/spool/cron \
  "$@" cron:hardened
