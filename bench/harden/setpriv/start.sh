#!/bin/sh
set -e
mkdir -p /srv/cache
chown redis:redis /srv/cache
cd /srv/cache
exec setpriv --reuid=redis --regid=redis --init-groups redis-server --bind 0.0.0.0 --protected-mode no
