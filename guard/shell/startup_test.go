package shell_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
)

// certainly, sometimes and exactly are drops.
func certainly(by, spec string) *guard.Drop {
	return &guard.Drop{By: by, Spec: spec, To: guard.ID{Least: 1, Most: guard.MaxID}, Certain: true}
}

func sometimes(by, spec string) *guard.Drop {
	d := certainly(by, spec)
	d.Certain = false
	return d
}

func exactly(by, spec string, uid uint32) *guard.Drop {
	return &guard.Drop{By: by, Spec: spec, To: guard.Exactly(uid), Certain: true}
}

func anybody(by, spec string) *guard.Drop {
	return &guard.Drop{By: by, Spec: spec, To: guard.AnyID()}
}

func TestCommandDrop(t *testing.T) {
	tests := map[string]struct {
		command string // words, "…" for those with spaces
		want    *guard.Drop
	}{
		"none":                      {"redis-server /etc/redis.conf", nil},
		"gosu":                      {"gosu redis redis-server", certainly("gosu", "redis")},
		"gosu by path":              {"/usr/local/bin/gosu redis redis-server", certainly("gosu", "redis")},
		"gosu with a group":         {"gosu redis:redis redis-server", certainly("gosu", "redis:redis")},
		"gosu by number":            {"gosu 999:999 redis-server", exactly("gosu", "999:999", 999)},
		"gosu root":                 {"gosu root redis-server", nil},
		"gosu 0":                    {"gosu 0 redis-server", nil},
		"gosu 00:5":                 {"gosu 00:5 redis-server", nil},
		"root, then another":        {"gosu root su-exec app x", certainly("su-exec", "app")},
		"su-exec":                   {"su-exec app x", certainly("su-exec", "app")},
		"setpriv":                   {"setpriv --reuid=1000 --regid=1000 --clear-groups x", exactly("setpriv", "1000", 1000)},
		"setpriv, words":            {"setpriv --reuid app --regid app --init-groups -- x", certainly("setpriv", "app")},
		"setpriv, only a group":     {"setpriv --regid 1000 --clear-groups x", nil},
		"setpriv, both uids":        {"setpriv --ruid 1000 --euid 1000 x", exactly("setpriv", "1000", 1000)},
		"setpriv, no new privs":     {"setpriv --no-new-privs --bounding-set -all x", nil},
		"chroot":                    {"chroot --userspec=app:app / x", certainly("chroot --userspec", "app:app")},
		"chroot, words":             {"chroot --userspec 1000 --groups= / x", exactly("chroot --userspec", "1000", 1000)},
		"chroot as root":            {"chroot / x", nil},
		"s6-setuidgid":              {"s6-setuidgid app x", certainly("s6-setuidgid", "app")},
		"setuidgid":                 {"setuidgid app x", certainly("setuidgid", "app")},
		"s6-applyuidgid":            {"s6-applyuidgid -u 1000 -g 1000 x", exactly("s6-applyuidgid", "1000", 1000)},
		"s6-applyuidgid -U":         {"s6-envuidgid app s6-applyuidgid -U x", certainly("s6-applyuidgid", "app")},
		"s6-applyuidgid -U, whose":  {"s6-applyuidgid -U x", anybody("s6-applyuidgid", "$UID")},
		"s6-envuidgid only":         {"s6-envuidgid app x", nil},
		"su -c":                     {"su app -c “exec x”", certainly("su -c", "app")},
		"su -c first":               {"su -c “exec x” app", certainly("su -c", "app")},
		"su -":                      {"su - app -c x", certainly("su -c", "app")},
		"su -s":                     {"su -s /bin/sh -c “exec x” app", certainly("su -c", "app")},
		"su --":                     {"su -s /bin/bash app -- -c x", certainly("su", "app")},
		"su with a script":          {"su app /start.sh", certainly("su", "app")},
		"su to root":                {"su -c x", nil},
		"su - root":                 {"su - root -c x", nil},
		"su in su":                  {"su -c “exec gosu app x”", certainly("gosu", "app")},
		"runuser -u":                {"runuser -u app -- x -c y", certainly("runuser", "app")},
		"runuser as su":             {"runuser - app -c x", certainly("runuser -c", "app")},
		"runuser -l":                {"runuser -l app -c x", certainly("runuser -c", "app")},
		"sudo":                      {"sudo x", nil},
		"sudo -u":                   {"sudo -u app x", certainly("sudo -u", "app")},
		"sudo -E -H -u":             {"sudo -E -H -u app A=b x", certainly("sudo -u", "app")},
		"sudo --user":               {"sudo --user=app --preserve-env=A,B -- x", certainly("sudo -u", "app")},
		"sudo -u #":                 {"sudo -u #1000 x", exactly("sudo -u", "1000", 1000)},
		"sudo -Eu":                  {"sudo -Eu app x", certainly("sudo -u", "app")},
		"sudo -u root":              {"sudo -u root x", nil},
		"doas":                      {"doas -u app x", certainly("doas -u", "app")},
		"chpst":                     {"chpst -u app:app x", certainly("chpst -u", "app:app")},
		"chpst by number":           {"chpst -u :1000:1000 x", exactly("chpst -u", "1000:1000", 1000)},
		"chpst, limits":             {"chpst -o 1024 x", nil},
		"start-stop-daemon":         {"start-stop-daemon --start --chuid app:app --exec /usr/bin/x -- -a", certainly("start-stop-daemon --chuid", "app:app")},
		"start-stop-daemon -c":      {"start-stop-daemon -S -c app -x /x", certainly("start-stop-daemon --chuid", "app")},
		"start-stop-daemon as root": {"start-stop-daemon -S -x /x", nil},
		"capsh":                     {"capsh --drop=all --user=app -- -c x", certainly("capsh", "app")},
		"unshare":                   {"unshare --setuid 1000 x", exactly("unshare --setuid", "1000", 1000)},
		"tini":                      {"tini -g -- gosu app x", certainly("gosu", "app")},
		"tini, no --":               {"/sbin/tini gosu app x", certainly("gosu", "app")},
		"dumb-init":                 {"dumb-init --rewrite 15:2 -- su-exec app x", certainly("su-exec", "app")},
		"catatonit":                 {"catatonit -- gosu app x", certainly("gosu", "app")},
		"env":                       {"env -i A=b PATH=/bin gosu app x", certainly("gosu", "app")},
		"env -u":                    {"/usr/bin/env -u HOME gosu app x", certainly("gosu", "app")},
		"nice":                      {"nice -n 5 ionice -c 2 -n 7 gosu app x", certainly("gosu", "app")},
		"stdbuf":                    {"stdbuf -oL -e0 gosu app x", certainly("gosu", "app")},
		"timeout":                   {"timeout -k 5 60 gosu app x", certainly("gosu", "app")},
		"busybox":                   {"busybox su app -c x", certainly("su -c", "app")},
		"sh -c":                     {"/bin/sh -c “exec gosu app x”", certainly("gosu", "app")},
		"sh -c without exec":        {"/bin/sh -c “gosu app x”", certainly("gosu", "app")},
		"sh -c, prepared":           {"/bin/sh -c “chown -R app /data && exec su-exec app x”", certainly("su-exec", "app")},
		"sh -c, prepared by it":     {"/bin/sh -c “gosu app migrate && exec x”", nil},
		"sh -c, other at the end":   {"/bin/sh -c “gosu app migrate; x”", nil},
		"bash -lc":                  {"bash -lc “exec gosu app x”", certainly("gosu", "app")},
		"sh -c with words":          {"sh -c “exec gosu \"$1\" x” sh app", certainly("gosu", "app")},
		"sh -c in sh -c":            {"sh -c “exec sh -c 'exec gosu app x'”", certainly("gosu", "app")},
		"variable":                  {"sh -c “exec gosu $APP x”", anybody("gosu", "$APP")},
		"variable with default":     {"sh -c “exec gosu ${APP:-app} x”", certainly("gosu", "app")},
		"uid with default":          {"sh -c “exec gosu ${PUID:-1000}:${PGID:-1000} x”", exactly("gosu", "1000:1000", 1000)},
		"default root":              {"sh -c “exec gosu ${APP:-root} x”", nil},
		"default empty":             {"sh -c “exec gosu ${APP:-} x”", anybody("gosu", "${APP:-}")},
		"either":                    {"sh -c “test -f /x && exec gosu app x; exec y”", sometimes("gosu", "app")},
		"a script":                  {"/docker-entrypoint.sh redis-server", nil},
		"only a word":               {"echo gosu app x", nil},
		"no user":                   {"gosu", nil},
		"option":                    {"gosu --version", nil},
		"empty":                     {"", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, shell.CommandDrop(words(tt.command))); diff != "" {
				t.Errorf("CommandDrop(%q) (-want +got):\n%s", tt.command, diff)
			}
		})
	}
}

// words splits at spaces that are not between “ and ”.
func words(line string) []string {
	var out []string
	for i, part := range strings.FieldsFunc(line, func(r rune) bool { return r == '“' || r == '”' }) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}
