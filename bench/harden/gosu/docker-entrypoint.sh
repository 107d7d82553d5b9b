#!/bin/sh
set -e

# Options alone are options of redis-server.
if [ "${1#-}" != "$1" ]; then
	set -- redis-server "$@"
fi

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . \! -user redis -exec chown redis:redis {} +
	exec gosu redis "$0" "$@"
fi

exec "$@"
