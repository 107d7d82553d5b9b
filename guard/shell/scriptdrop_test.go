package shell_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
)

// Start-up scripts, written after the manner of well-known images.
const (
	redisScript = `#!/bin/sh
set -e

# flags and configuration files are for the server
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi

if [ "$1" = 'redis-server' -a "$(id -u)" = '0' ]; then
	find . \! -user redis -exec chown redis '{}' +
	exec gosu redis "$0" "$@"
fi

um="$(umask)"
if [ "$um" = '0022' ]; then
	umask 0077
fi

exec "$@"
`
	postgresScript = `#!/usr/bin/env bash
set -Eeo pipefail

file_env() {
	local var="$1"
	local fileVar="${var}_FILE"
	local def="${2:-}"
	if [ "${!var:-}" ] && [ "${!fileVar:-}" ]; then
		printf >&2 'error: both %s and %s are set (but are exclusive)\n' "$var" "$fileVar"
		exit 1
	fi
	local val="$def"
	if [ "${!var:-}" ]; then
		val="${!var}"
	elif [ "${!fileVar:-}" ]; then
		val="$(< "${!fileVar}")"
	fi
	export "$var"="$val"
	unset "$fileVar"
}

_is_sourced() {
	[ "${#FUNCNAME[@]}" -ge 2 ] \
		&& [ "${FUNCNAME[0]}" = '_is_sourced' ] \
		&& [ "${FUNCNAME[1]}" = 'source' ]
}

create_directories() {
	local user; user="$(id -u)"
	mkdir -p "$PGDATA"
	chmod 00700 "$PGDATA" || :
	if [ "$user" = '0' ]; then
		find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
		find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
	fi
}

want_help() {
	local arg
	for arg; do
		case "$arg" in
			-'?'|--help|--describe-config|-V|--version)
				return 0
				;;
		esac
	done
	return 1
}

_main() {
	if [ "${1:0:1}" = '-' ]; then
		set -- postgres "$@"
	fi
	if [ "$1" = 'postgres' ] && ! want_help "$@"; then
		file_env 'POSTGRES_USER' 'postgres'
		create_directories
		if [ "$(id -u)" = '0' ]; then
			exec gosu postgres "$BASH_SOURCE" "$@"
		fi
		if [ -z "$DATABASE_ALREADY_EXISTS" ]; then
			ls /docker-entrypoint-initdb.d/ > /dev/null
			pg_ctl -D "$PGDATA" -m fast -w stop
		fi
	fi
	exec "$@"
}

if ! _is_sourced; then
	_main "$@"
fi
`
	mongoScript = `#!/bin/bash
set -Eeuo pipefail

if [ "${1:0:1}" = '-' ]; then
	set -- mongod "$@"
fi
originalArgOne="$1"
if [[ "$originalArgOne" == mongo* ]] && [ "$(id -u)" = '0' ]; then
	if [ "$originalArgOne" = 'mongod' ]; then
		find /data/configdb /data/db \! -user mongodb -exec chown mongodb '{}' +
	fi
	chown --dereference mongodb "/proc/$$/fd/1" "/proc/$$/fd/2" || :
	exec gosu mongodb "$BASH_SOURCE" "$@"
fi
numa='numactl --interleave=all'
if $numa true &> /dev/null; then
	set -- $numa "$@"
fi
exec "$@"
`
	mysqlScript = `#!/bin/bash
set -eo pipefail
shopt -s nullglob
_main() {
	if [ "${1:0:1}" = '-' ]; then
		set -- mysqld "$@"
	fi
	if [ "$1" = 'mysqld' ] && ! _mysql_want_help "$@"; then
		mysql_note "Entrypoint script for MySQL Server started."
		if [ "$(id -u)" = "0" ]; then
			mysql_note "Switching to dedicated user 'mysql'"
			exec gosu mysql "$BASH_SOURCE" "$@"
		fi
	fi
	exec "$@"
}
mysql_note() { printf '%s [Note] %s\n' "$(date --rfc-3339=seconds)" "$*"; }
_mysql_want_help() {
	local arg
	for arg; do
		case "$arg" in
			-'?'|--help|--print-defaults|-V|--version)
				return 0
				;;
		esac
	done
	return 1
}
_main "$@"
`
	elasticScript = `#!/bin/bash
set -e
umask 0002
run_as_other_user_if_needed() {
  if [[ "$(id -u)" == "0" ]]; then
    # If running as root, drop to specified UID and run command
    exec chroot --userspec=1000:0 / "${@}"
  else
    # Either we are running in Openshift with random uid and are a member of the root group
    # or with a custom --user
    exec "${@}"
  fi
}
if [[ "$1" != "eswrapper" ]]; then
  if [[ "$(id -u)" == "0" && $(basename "$1") == "elasticsearch" ]]; then
    set -- "elasticsearch" "${@:2}"
    exec chroot --userspec=1000 / "$@"
  else
    exec "$@"
  fi
fi
run_as_other_user_if_needed /usr/share/elasticsearch/bin/elasticsearch
`
	rabbitScript = `#!/usr/bin/env bash
set -euo pipefail
if [[ "$1" == rabbitmq* ]] && [ "$(id -u)" = '0' ]; then
	if [ "$1" = 'rabbitmq-server' ]; then
		find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq '{}' +
	fi
	exec gosu rabbitmq "$BASH_SOURCE" "$@"
fi
deprecatedEnvVars=( RABBITMQ_DEFAULT_PASS_FILE RABBITMQ_VM_MEMORY_HIGH_WATERMARK )
hasOldEnv=
for old in "${deprecatedEnvVars[@]}"; do
	if [ -n "${!old:-}" ]; then
		echo >&2 "error: $old is set but deprecated"
		hasOldEnv=1
	fi
done
if [ -n "$hasOldEnv" ]; then
	exit 1
fi
exec "$@"
`
	jenkinsScript = `#! /bin/bash -e
: "${JENKINS_WAR:="/usr/share/jenkins/jenkins.war"}"
: "${JENKINS_HOME:="/var/jenkins_home"}"
find "${REF}" \( -type f -o -type l \) -exec bash -c '. /usr/local/bin/jenkins-support; for arg; do copy_reference_file "$arg"; done' _ {} +
if [[ $# -lt 1 ]] || [[ "$1" == "--"* ]]; then
  java_opts_array=()
  while IFS= read -r -d '' item; do
    java_opts_array+=( "$item" )
  done < <([[ $JAVA_OPTS ]] && xargs printf '%s\0' <<<"$JAVA_OPTS")
  exec java -Duser.home="$JENKINS_HOME" "${java_opts_array[@]}" -jar ${JENKINS_WAR} "$@"
fi
exec "$@"
`
	nodeScript = `#!/bin/sh
set -e
if [ "${1#-}" != "${1}" ] || [ -z "$(command -v "${1}")" ] || { [ -f "${1}" ] && ! [ -x "${1}" ]; }; then
  set -- node "$@"
fi
exec "$@"
`
	consulScript = `#!/usr/bin/dumb-init /bin/sh
set -e
CONSUL_DATA_DIR=/consul/data
if [ "${1:0:1}" = '-' ]; then
    set -- consul "$@"
fi
if [ "$1" = 'agent' ]; then
    shift
    set -- consul agent -data-dir="$CONSUL_DATA_DIR" "$@"
fi
if [ "$1" = 'consul' -a -z "${CONSUL_DISABLE_PERM_MGMT+x}" ]; then
    if [ "$(stat -c %u "$CONSUL_DATA_DIR")" != "$(id -u consul)" ]; then
        chown consul:consul "$CONSUL_DATA_DIR"
    fi
    set -- su-exec consul:consul "$@"
fi
exec "$@"
`
	ghostScript = `#!/bin/bash
set -e
if [[ "$*" == node*current/index.js* ]] && [ "$(id -u)" = '0' ]; then
	find "$GHOST_CONTENT" \! -user node -exec chown node '{}' +
	exec gosu node "$BASH_SOURCE" "$@"
fi
exec "$@"
`
	mariadbScript = `#!/bin/bash
set -eo pipefail
_main() {
	if [ "${1:0:1}" = '-' ]; then
		set -- mariadbd "$@"
	fi
	if { [ "$1" = 'mariadbd' ] || [ "$1" = 'mysqld' ]; } && ! _mysql_want_help "$@"; then
		mysql_note "Entrypoint script started."
		if [ "$(id -u)" = "0" ]; then
			mysql_note "Switching to dedicated user 'mysql'"
			exec gosu mysql "${BASH_SOURCE[0]}" "$@"
		fi
	fi
	exec "$@"
}
mysql_note() { echo "$@"; }
_mysql_want_help() { return 1; }
_main "$@"
`
	zookeeperScript = `#!/bin/bash
set -e
# Allow the container to be started with --user
if [[ "$1" = 'zkServer.sh' && "$(id -u)" = '0' ]]; then
    chown -R zookeeper "$ZOO_DATA_DIR" "$ZOO_LOG_DIR"
    exec gosu zookeeper "$0" "$@"
fi
if [[ ! -f "$ZOO_CONF_DIR/zoo.cfg" ]]; then
    CONFIG="$ZOO_CONF_DIR/zoo.cfg"
    { echo "dataDir=$ZOO_DATA_DIR"; echo "tickTime=$ZOO_TICK_TIME"; } >> "$CONFIG"
fi
exec "$@"
`
	couchdbScript = `#!/bin/bash
set -e
if [ "${1#-}" != "$1" ] || [ "$1" = 'couchdb' ]; then
	set -- /opt/couchdb/bin/couchdb "$@"
fi
if [ "$1" = '/opt/couchdb/bin/couchdb' ]; then
	touch /opt/couchdb/etc/local.d/docker.ini
	if [ "$(id -u)" = '0' ]; then
		find /opt/couchdb \! \( -user couchdb -group couchdb \) -exec chown -f couchdb:couchdb '{}' +
	fi
	if [ "$NODENAME" ] && ! grep "couchdb@" /opt/couchdb/etc/vm.args; then
		echo "-name couchdb@$NODENAME" >> /opt/couchdb/etc/vm.args
	fi
	if [ "$(id -u)" = '0' ]; then
		export HOME=$(echo ~couchdb)
		exec setpriv --reuid=couchdb --regid=couchdb --clear-groups "$@"
	fi
fi
exec "$@"
`
	nginxScript = `#!/bin/sh
set -e
if [ "$1" = "nginx" ] || [ "$1" = "nginx-debug" ]; then
    if /usr/bin/find "/docker-entrypoint.d/" -mindepth 1 -maxdepth 1 -type f -print -quit 2>/dev/null | read v; then
        find "/docker-entrypoint.d/" -follow -type f -print | sort -V | while read -r f; do
            case "$f" in
                *.envsh) [ -x "$f" ] && . "$f" ;;
                *.sh) [ -x "$f" ] && "$f" ;;
                *) echo "Ignoring $f" ;;
            esac
        done
    fi
fi
exec "$@" # no gosu here
`
	puidScript = `#!/bin/bash
PUID=${PUID:-911}
PGID=${PGID:-911}
groupmod -o -g "$PGID" abc
usermod -o -u "$PUID" abc
chown -R abc:abc /config
exec s6-setuidgid abc "$@"
`
)

func TestScriptDrop(t *testing.T) {
	tests := map[string]struct {
		script string
		args   string
		want   *guard.Drop
	}{
		"redis":                  {redisScript, "redis-server", certainly("gosu", "redis")},
		"redis, a flag":          {redisScript, "--appendonly yes", certainly("gosu", "redis")},
		"redis, a file":          {redisScript, "/etc/redis.conf", certainly("gosu", "redis")},
		"redis, another command": {redisScript, "bash", nil},
		"redis, a drop as args":  {redisScript, "gosu app x", certainly("gosu", "app")},
		"postgres":               {postgresScript, "postgres", certainly("gosu", "postgres")},
		"postgres, flags":        {postgresScript, "-c max_connections=5", certainly("gosu", "postgres")},
		"postgres --help":        {postgresScript, "postgres --help", nil},
		"postgres, bash":         {postgresScript, "bash", nil},
		"mongo":                  {mongoScript, "mongod", certainly("gosu", "mongodb")},
		"mongo, flags":           {mongoScript, "--replSet rs0", certainly("gosu", "mongodb")},
		"mongo, bash":            {mongoScript, "bash", nil},
		"mysql":                  {mysqlScript, "mysqld", certainly("gosu", "mysql")},
		"mysql, help":            {mysqlScript, "mysqld --verbose --help", nil},
		"elasticsearch":          {elasticScript, "eswrapper", exactly("chroot --userspec", "1000:0", 1000)},
		"elasticsearch by name":  {elasticScript, "/bin/elasticsearch", exactly("chroot --userspec", "1000", 1000)},
		"elasticsearch, bash":    {elasticScript, "bash", nil},
		"rabbitmq":               {rabbitScript, "rabbitmq-server", certainly("gosu", "rabbitmq")},
		"rabbitmq, bash":         {rabbitScript, "bash", nil},
		"ghost":                  {ghostScript, "node current/index.js", certainly("gosu", "node")},
		"ghost, bash":            {ghostScript, "bash", nil},
		"mariadb":                {mariadbScript, "mariadbd", certainly("gosu", "mysql")},
		"zookeeper":              {zookeeperScript, "zkServer.sh start-foreground", certainly("gosu", "zookeeper")},
		"couchdb":                {couchdbScript, "/opt/couchdb/bin/couchdb", certainly("setpriv", "couchdb")},
		"couchdb, flags":         {couchdbScript, "-v", certainly("setpriv", "couchdb")},
		"couchdb, bash":          {couchdbScript, "bash", nil},
		"nginx":                  {nginxScript, "nginx -g x", nil},
		"jenkins":                {jenkinsScript, "", nil},
		"node":                   {nodeScript, "node app.js", nil},
		"consul":                 {consulScript, "agent -dev", sometimes("su-exec", "consul:consul")},
		"linuxserver's":          {puidScript, "x", exactly("s6-setuidgid", "abc", 911)},

		"always":                  {"exec su-exec app \"$@\"", "x", certainly("su-exec", "app")},
		"no shebang, no exec":     {"su-exec app x", "", certainly("su-exec", "app")},
		"if root [[":              {"#!/bin/bash\nif [[ $EUID -eq 0 ]]; then exec gosu app \"$@\"; fi\nexec \"$@\"", "x", certainly("gosu", "app")},
		"if (( ))":                {"#!/bin/bash\nif (( EUID == 0 )); then exec gosu app \"$@\"; fi\nexec \"$@\"", "x", certainly("gosu", "app")},
		"if (( ! UID ))":          {"#!/bin/bash\nif ! (( UID )); then exec gosu app \"$@\"; fi\nexec \"$@\"", "x", certainly("gosu", "app")},
		"if whoami":               {"if [ \"$(whoami)\" = root ]; then exec gosu app \"$@\"; fi\nexec \"$@\"", "x", certainly("gosu", "app")},
		"if not root":             {"if [ `id -u` -ne 0 ]; then exec \"$@\"; fi\nexec gosu app \"$@\"", "x", certainly("gosu", "app")},
		"if ! test":               {"if ! test \"$(id -u)\" -gt 0; then exec gosu app \"$@\"; fi\nexec \"$@\"", "x", certainly("gosu", "app")},
		"&&":                      {"[ \"$(id -u)\" = 0 ] && exec gosu app \"$@\"\nexec \"$@\"", "x", certainly("gosu", "app")},
		"||":                      {"[ \"$(id -u)\" != 0 ] || exec gosu app \"$@\"\nexec \"$@\"", "x", certainly("gosu", "app")},
		"case id":                 {"case $(id -u) in 0) exec gosu app \"$@\";; *) exec \"$@\";; esac", "x", certainly("gosu", "app")},
		"case of the command":     {"case $1 in redis*) exec gosu app \"$@\";; esac\nexec \"$@\"", "redis-server", certainly("gosu", "app")},
		"case, another":           {"case $1 in redis*) exec gosu app \"$@\";; esac\nexec \"$@\"", "sh", nil},
		"UID of sh is a variable": {"#!/bin/sh\nexec gosu ${UID:-1000} x", "", exactly("gosu", "1000", 1000)},
		"UID of bash is root's":   {"#!/bin/bash\nexec gosu ${UID:-1000} x", "", nil},
		"user in a variable":      {"USER=app\nexec gosu \"$USER\" \"$@\"", "x", certainly("gosu", "app")},
		"default assigned":        {": \"${RUN_AS:=app}\"\nexec gosu \"$RUN_AS\" \"$@\"", "x", certainly("gosu", "app")},
		"default ids":             {"exec setpriv --reuid=\"${PUID:-1000}\" --regid=1000 --clear-groups \"$@\"", "x", exactly("setpriv", "1000", 1000)},
		"unknown user":            {"exec gosu \"$RUN_AS\" \"$@\"", "x", anybody("gosu", "$RUN_AS")},
		"root":                    {"exec gosu root \"$@\"", "x", nil},
		"by environment":          {"if [ -z \"$AS_ROOT\" ]; then exec gosu app \"$@\"; fi\nexec \"$@\"", "x", sometimes("gosu", "app")},
		"both ways":               {"if command -v gosu; then exec gosu app \"$@\"; else exec su-exec app \"$@\"; fi", "x", certainly("gosu", "app")},
		"command in variable":     {"cmd=\"gosu app\"\nexec $cmd \"$@\"", "x", certainly("gosu", "app")},
		"command in array":        {"#!/bin/bash\ncmd=(gosu app)\nexec \"${cmd[@]}\" \"$@\"", "x", certainly("gosu", "app")},
		"set -- gosu":             {"set -- gosu app \"$@\"\nexec \"$@\"", "x", certainly("gosu", "app")},
		"set -- gosu, maybe":      {"if [ -d /x ]; then set -- gosu app \"$@\"; fi\nexec \"$@\"", "x", sometimes("gosu", "app")},
		"tini inside":             {"exec tini -- gosu app \"$@\"", "x", certainly("gosu", "app")},
		"env inside":              {"exec env A=b HOME=/x gosu app \"$@\"", "x", certainly("gosu", "app")},
		"function":                {"run() { exec gosu app \"$@\"; }\nrun \"$@\"", "x", certainly("gosu", "app")},
		"function returns":        {"isroot() { test $(id -u) = 0; }\nisroot && exec gosu app \"$@\"\nexec \"$@\"", "x", certainly("gosu", "app")},
		"shift":                   {"user=$1; shift; exec gosu $user \"$@\"", "app x", certainly("gosu", "app")},
		"while shift":             {"while [ $# -gt 0 ]; do case $1 in --user) U=$2; shift 2;; *) break;; esac; done\nexec gosu $U \"$@\"", "--user app x", certainly("gosu", "app")},
		"sub shell":               {"(exec gosu app prepare)\nexec \"$@\"", "x", nil},
		"prepares as user":        {"gosu app prepare\nexec \"$@\"", "x", nil},
		"fails else":              {"[ -f /x ] || { echo missing >&2; exit 1; }\nexec gosu app x", "", certainly("gosu", "app")},
		"cleans up":               {"gosu app x\nrm -f /run/x.pid\n", "", certainly("gosu", "app")},
		"waits":                   {"gosu app x &\nwait $!\n", "", certainly("gosu", "app")},
		"another afterwards":      {"gosu app x &\nnginx -g 'daemon off;'\n", "", nil},
		"pipe":                    {"gosu app x | tee /log", "", certainly("gosu", "app")},
		"loop":                    {"until nc -z db 5432; do sleep 1; done\nexec gosu app x", "", certainly("gosu", "app")},
		"endless":                 {"while true; do gosu app x; sleep 1; done", "", certainly("gosu", "app")},
		"eval":                    {"eval exec gosu app x", "", certainly("gosu", "app")},
		"su":                      {"exec su -s /bin/sh -c 'exec x' app", "", certainly("su -c", "app")},
		"su -":                    {"su - app -c 'cd /app && ./x'", "", certainly("su -c", "app")},
		"here-document":           {"su app <<EOF\nx\nEOF", "", certainly("su", "app")},
		"comment":                 {"# exec gosu app x\nexec x", "", nil},
		"quoted":                  {"echo 'exec gosu app x'\nexec x", "", nil},
		"python":                  {"#!/usr/bin/python3\nos.system('exec gosu app x')", "", nil},
		"execline":                {"#!/bin/execlineb -P\ns6-setuidgid app\nx", "", certainly("s6-setuidgid", "app")},
		"with-contenv":            {"#!/command/with-contenv bash\nexec s6-setuidgid app x", "", certainly("s6-setuidgid", "app")},
		"not a script":            {"\x7fELF\x02\x01\x01\x00gosu", "", nil},
		"not written well":        {"if gosu app x", "", nil},
		"empty":                   {"", "gosu app x", nil},
		"CRLF":                    {"#!/bin/sh\r\nexec gosu app x\r\n", "", certainly("gosu", "app")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, shell.ScriptDrop([]byte(tt.script), words(tt.args))); diff != "" {
				t.Errorf("ScriptDrop (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScriptDropEnv(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"RUN_AS": "app", "PUID": "0"}[name]
		return v, ok
	}
	in := shell.Image{Env: env}
	if got := in.ScriptDrop([]byte("exec gosu $RUN_AS x"), nil); !cmp.Equal(got, certainly("gosu", "app")) {
		t.Errorf("ScriptDropEnv = %+v", got)
	}
	if got := in.ScriptDrop([]byte("exec gosu ${PUID:-1000} x"), nil); got != nil {
		t.Errorf("ScriptDropEnv = %+v", got)
	}
	if got := in.CommandDrop([]string{"sh", "-c", "exec gosu $RUN_AS x"}); !cmp.Equal(got, certainly("gosu", "app")) {
		t.Errorf("CommandDropEnv = %+v", got)
	}
}

func TestStarted(t *testing.T) {
	script := func(path string, args ...string) shell.Script { return shell.Script{Path: path, Args: args} }
	tests := map[string]struct {
		command string
		want    []shell.Script
	}{
		"itself":          {"/docker-entrypoint.sh redis-server", []shell.Script{script("/docker-entrypoint.sh", "redis-server")}},
		"in PATH":         {"docker-entrypoint.sh node app.js", []shell.Script{script("docker-entrypoint.sh", "node", "app.js")}},
		"tini":            {"/usr/bin/tini -g -- /start.sh a", []shell.Script{script("/start.sh", "a")}},
		"dumb-init":       {"dumb-init /start.sh a", []shell.Script{script("/start.sh", "a")}},
		"env":             {"env A=b /start.sh a", []shell.Script{script("/start.sh", "a")}},
		"sh":              {"/bin/bash -e /start.sh a b", []shell.Script{script("/start.sh", "a", "b")}},
		"sh -c":           {"/bin/sh -c “/start.sh a”", []shell.Script{script("/start.sh", "a")}},
		"sh -c exec":      {"/bin/sh -c “exec /start.sh $A”", []shell.Script{script("/start.sh", "$A")}},
		"sh -c, some":     {"/bin/sh -c “mkdir -p /x && cd /app && ./one.sh; sh two.sh”", []shell.Script{script("/app/one.sh"), script("two.sh")}},
		"as another user": {"gosu app /start.sh", nil},
		"nothing":         {"sh", nil},
		"none":            {"", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := shell.Started(words(tt.command))
			for i := range got {
				if len(got[i].Args) == 0 {
					got[i].Args = nil
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Started(%q) (-want +got):\n%s", tt.command, diff)
			}
		})
	}
	if got := shell.Scripts(words("tini -- sh -c “/a; /b”")); !cmp.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("Scripts = %q", got)
	}
}
