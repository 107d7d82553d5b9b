package shell_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
	"github.com/deckhand-engine/deckhand/guard/users"
)

func changes(c ...users.Change) []users.Change { return c }

func uid(c users.Change, n uint32) users.Change {
	c.UID, c.HasUID = guard.Exactly(n), true
	return c
}

func gid(c users.Change, n uint32) users.Change {
	c.GID, c.HasGID = guard.Exactly(n), true
	return c
}

func in(c users.Change, group string) users.Change {
	c.Group = group
	return c
}

func home(c users.Change, dir string) users.Change {
	c.Home = dir
	return c
}

func system(c users.Change) users.Change {
	c.System = true
	return c
}

func maybe(c users.Change) users.Change {
	c.Maybe = true
	return c
}

func shared(c users.Change) users.Change {
	c.NonUnique = true
	return c
}

func elevated(c users.Change) users.Change {
	c.Elevated = true
	return c
}

func unended(c users.Change) users.Change {
	c.Unended = true
	return c
}

func ifFree(c users.Change) users.Change {
	c.IfFree = true
	return c
}

func emptied(file string) users.Change { return users.Change{Kind: users.Emptied, Name: file} }

func defaults() users.Change { return users.Change{Kind: users.Defaults} }

func own(c users.Change, o users.Own) users.Change {
	c.Own = o
	return c
}

func because(c users.Change, why string) users.Change {
	c.Why = why
	return c
}

func someUID(c users.Change, least, most uint32) users.Change {
	c.UID, c.HasUID = guard.ID{Least: least, Most: most}, true
	return c
}

func someGID(c users.Change, least, most uint32) users.Change {
	c.GID, c.HasGID = guard.ID{Least: least, Most: most}, true
	return c
}

func adds(by users.Program, name string) users.Change {
	return users.Change{Kind: users.AddUser, By: by, Name: name}
}

func addsGroup(by users.Program, name string) users.Change {
	return users.Change{Kind: users.AddGroup, By: by, Name: name}
}

func member(group string) users.Change {
	return users.Change{Kind: users.AddMember, Name: "app", Group: group}
}

func replaced(file, why string) users.Change {
	return users.Change{Kind: users.Replaced, Name: file, Why: why}
}

func stranger(name string) users.Change {
	return users.Change{Kind: users.AddUser, Why: name + " is run, which may add the user"}
}

// environment is what the lines of the tests know.
func environment(name string) (string, bool) {
	v, ok := map[string]string{"APP_UID": "1500", "APP_USER": "app", "APP_HOME": "/srv/app", "EMPTY": ""}[name]
	return v, ok
}

func TestUsersOfLines(t *testing.T) {
	tests := map[string]struct {
		line string
		want []users.Change
	}{
		"useradd":                  {"useradd app", changes(adds(users.ByShadow, "app"))},
		"useradd by path":          {"/usr/sbin/useradd app", changes(adds(users.ByShadow, "app"))},
		"useradd -u":               {"useradd -u 1000 app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"useradd -u1000":           {"useradd -u1000 -ms /bin/bash app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"useradd --uid=":           {"useradd --uid=1000 --gid=1001 --create-home app", changes(gid(uid(adds(users.ByShadow, "app"), 1000), 1001))},
		"useradd --uid":            {"useradd --uid 1000 --shell /bin/sh app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"useradd after its name":   {"useradd app -u 1000 -m", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"useradd -ou 0":            {"useradd -ou 0 -g 0 admin", changes(gid(shared(uid(adds(users.ByShadow, "admin"), 0)), 0))},
		"useradd -r":               {"useradd -r -s /usr/sbin/nologin app", changes(system(adds(users.ByShadow, "app")))},
		"useradd -rm -d":           {"useradd -rm -d /home/ubuntu -s /bin/bash -g root -G sudo -u 1001 ubuntu", changes(home(in(uid(system(adds(users.ByShadow, "ubuntu")), 1001), "root"), "/home/ubuntu"))},
		"useradd -N":               {"useradd -l -N -g users app", changes(in(own(adds(users.ByShadow, "app"), users.NoOwnGroup), "users"))},
		"useradd --no-user-group":  {"useradd --no-user-group app", changes(own(adds(users.ByShadow, "app"), users.NoOwnGroup))},
		"useradd abbreviated":      {"useradd --sys --home /x app", changes(home(system(adds(users.ByShadow, "app")), "/x"))},
		"useradd -c":               {"useradd -c 'App, of us' --home-dir /app app", changes(home(adds(users.ByShadow, "app"), "/app"))},
		"useradd -D":               {"useradd -D -s /bin/bash", nil},
		"useradd elsewhere":        {"useradd -R /rootfs app", nil},
		"useradd -K":               {"useradd -K UID_MIN=0 app", changes(someUID(adds(users.ByShadow, "app"), 1, guard.MaxID))},
		"useradd, password":        {"useradd -p $(openssl passwd -1 x) app", changes(adds(users.ByShadow, "app"))},
		"sudo useradd":             {"sudo useradd app", changes(elevated(adds(users.ByShadow, "app")))},
		"variables":                {"useradd -u $APP_UID \"$APP_USER\"", changes(uid(adds(users.ByShadow, "app"), 1500))},
		"braces":                   {"useradd -u ${APP_UID} -d ${APP_HOME} ${APP_USER}", changes(home(uid(adds(users.ByShadow, "app"), 1500), "/srv/app"))},
		"assigned":                 {"UID1=1000; useradd -u $UID1 app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"exported":                 {"export U=1000 && useradd -u $U app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"default":                  {"useradd -u ${NOT_SET:-1001} app", changes(uid(adds(users.ByShadow, "app"), 1001))},
		"unknown uid":              {"useradd -u $NOT_SET app", changes(because(someUID(adds(users.ByShadow, "app"), 1, guard.MaxID), "$NOT_SET, the argument of its -u, is not known"))},
		"unknown uid, not unique":  {"useradd -o -u $NOT_SET app", changes(because(shared(someUID(adds(users.ByShadow, "app"), 0, guard.MaxID)), "$NOT_SET, the argument of its -u, is not known"))},
		"unknown gid":              {"useradd -g $NOT_SET app", changes(someGID(adds(users.ByShadow, "app"), 0, guard.MaxID))},
		"unknown name":             {"useradd $NOT_SET", changes(because(someUID(adds(users.ByShadow, ""), 1, guard.MaxID), "a user called $NOT_SET is added, which is not known"))},
		"unknown name, quoted":     {"useradd \"$NOT_SET\"", changes(because(someUID(adds(users.ByShadow, ""), 1000, 60000), "a user called $NOT_SET is added, which is not known"))},
		"unknown options":          {"useradd $OPTIONS app", changes(someUID(adds(users.ByShadow, "app"), 1, guard.MaxID))},
		"substitution":             {"useradd -u $(stat -c %u /x) app", changes(because(someUID(adds(users.ByShadow, "app"), 1, guard.MaxID), "$(stat -c %u /x), the argument of its -u, is not known"))},
		"UID is an argument":       {"useradd -u $UID app", changes(because(someUID(adds(users.ByShadow, "app"), 1, guard.MaxID), "$UID, the argument of its -u, is not known"))},
		"arithmetic":               {"useradd -u $((1000 + 5)) app", changes(uid(adds(users.ByShadow, "app"), 1005))},
		"set -eux":                 {"set -eux; groupadd -r g; useradd -r -g g app", changes(system(addsGroup(users.ByShadow, "g")), in(system(adds(users.ByShadow, "app")), "g"))},
		"groupadd":                 {"groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node", changes(gid(addsGroup(users.ByShadow, "node"), 1000), in(uid(adds(users.ByShadow, "node"), 1000), "node"))},
		"groupadd -r, --gid=":      {"groupadd -r postgres --gid=999; useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql postgres", changes(system(gid(addsGroup(users.ByShadow, "postgres"), 999)), home(in(system(uid(adds(users.ByShadow, "postgres"), 999)), "postgres"), "/var/lib/postgresql"))},
		"groupadd, unknown":        {"groupadd -g $NOT_SET g", changes(because(someGID(addsGroup(users.ByShadow, "g"), 1, guard.MaxID), "$NOT_SET, the argument of its -g, is not known"))},
		"adduser":                  {"adduser app", changes(adds(users.ByAdduser, "app"))},
		"BusyBox":                  {"adduser -D app", changes(adds(users.ByBusyBox, "app"))},
		"BusyBox -S -G":            {"addgroup -S app && adduser -S -G app app", changes(system(addsGroup(users.ByAdduser, "app")), in(system(adds(users.ByBusyBox, "app")), "app"))},
		"BusyBox, together":        {"adduser -SDH -s /sbin/nologin -u 1000 app", changes(uid(system(adds(users.ByBusyBox, "app")), 1000))},
		"BusyBox -g":               {"adduser -D -g '' -h /app -u 1001 app", changes(home(uid(adds(users.ByBusyBox, "app"), 1001), "/app"))},
		"BusyBox -u -G":            {"addgroup -g 1001 -S nodejs; adduser -S -u 1001 -G nodejs nextjs", changes(system(gid(addsGroup(users.ByAdduser, "nodejs"), 1001)), in(uid(system(adds(users.ByBusyBox, "nextjs")), 1001), "nodejs"))},
		"long options of either":   {"adduser --disabled-password --gecos '' --uid 1000 app", changes(uid(adds(users.ByAdduser, "app"), 1000))},
		"--system":                 {"addgroup --system --gid 1001 nodejs && adduser --system --uid 1001 nextjs", changes(gid(system(addsGroup(users.ByAdduser, "nodejs")), 1001), uid(system(adds(users.ByAdduser, "nextjs")), 1001))},
		"Debian --system --group":  {"adduser --system --group --no-create-home app", changes(own(system(adds(users.ByDebian, "app")), users.OwnGroup))},
		"Debian --ingroup":         {"adduser --quiet --ingroup users --home /x app", changes(home(in(adds(users.ByDebian, "app"), "users"), "/x"))},
		"Debian --gid":             {"adduser --gid 0 --disabled-login app", changes(gid(adds(users.ByDebian, "app"), 0))},
		"Debian --group":           {"adduser --group g", changes(addsGroup(users.ByAdduser, "g"))},
		"Debian --firstuid":        {"adduser --firstuid 2000 app", changes(someUID(adds(users.ByDebian, "app"), 1, guard.MaxID))},
		"Red Hat":                  {"adduser -m -r -u 1000 app", changes(uid(system(adds(users.ByShadow, "app")), 1000))},
		"Red Hat -g":               {"adduser -u 1000 -g 0 app", changes(gid(uid(adds(users.ByShadow, "app"), 1000), 0))},
		"adduser USER GROUP":       {"adduser app audio", changes(member("audio"))},
		"addgroup USER GROUP":      {"addgroup app audio", changes(member("audio"))},
		"usermod -aG":              {"usermod -aG sudo app", changes(member("sudo"))},
		"usermod -u":               {"usermod -u 1001 -g 100 node", changes(gid(uid(users.Change{Kind: users.SetUser, Name: "node"}, 1001), 100))},
		"usermod -o -u 0":          {"usermod -o -u 0 app", changes(shared(uid(users.Change{Kind: users.SetUser, Name: "app"}, 0)))},
		"usermod -l":               {"usermod -l app -d /home/app -m node", changes(users.Change{Kind: users.SetUser, Name: "node", NewName: "app", Home: "/home/app"})},
		"usermod -s":               {"usermod -s /bin/bash app", nil},
		"usermod, whose":           {"usermod -u 5 $NOT_SET", changes(replaced("passwd", "usermod changes a user whose name is not known"))},
		"groupmod":                 {"groupmod -g 1001 node", changes(gid(users.Change{Kind: users.SetGroup, Name: "node"}, 1001))},
		"groupmod -n":              {"groupmod -n app node", changes(users.Change{Kind: users.SetGroup, Name: "node", NewName: "app"})},
		"userdel":                  {"userdel -r node", changes(users.Change{Kind: users.RemoveUser, Name: "node"})},
		"deluser":                  {"deluser --remove-home node", changes(users.Change{Kind: users.RemoveUser, Name: "node"})},
		"deluser from a group":     {"deluser node audio", nil},
		"groupdel":                 {"groupdel g; delgroup h; deluser --group i", changes(users.Change{Kind: users.RemoveGroup, Name: "g"}, users.Change{Kind: users.RemoveGroup, Name: "h"}, users.Change{Kind: users.RemoveGroup, Name: "i"})},
		"gpasswd":                  {"gpasswd -a app wheel", changes(member("wheel"))},
		"after id ||":              {"id -u app >/dev/null 2>&1 || useradd -u 1000 app", changes(maybe(uid(adds(users.ByShadow, "app"), 1000)))},
		"if ! getent":              {"if ! getent passwd app; then useradd app; fi", changes(maybe(adds(users.ByShadow, "app")))},
		"if known":                 {"if [ \"$APP_USER\" = app ]; then useradd app; else useradd other; fi", changes(adds(users.ByShadow, "app"))},
		"if unset":                 {"if [ -n \"$EMPTY\" ]; then useradd app; fi", nil},
		"|| true":                  {"useradd app || true", changes(adds(users.ByShadow, "app"))},
		"|| another":               {"useradd app || adduser -D app", changes(maybe(adds(users.ByShadow, "app")), maybe(adds(users.ByBusyBox, "app")))},
		"|| exit":                  {"useradd app || { echo failed >&2; exit 1; }", changes(adds(users.ByShadow, "app"))},
		"|| exit 0":                {"id app || exit 0; useradd app", changes(maybe(adds(users.ByShadow, "app")))},
		"exit 0 in between":        {"if [ -e /x ]; then exit 0; fi; useradd app; useradd b", changes(maybe(adds(users.ByShadow, "app")), maybe(adds(users.ByShadow, "b")))},
		"exit 1 in between":        {"if [ -e /x ]; then exit 1; fi; useradd app", changes(adds(users.ByShadow, "app"))},
		"return in between":        {"f() { id $1 && return; useradd $1; }; f app; useradd b", changes(maybe(adds(users.ByShadow, "app")), adds(users.ByShadow, "b"))},
		"break":                    {"for u in a b; do useradd $u; id x && break; done; useradd c", changes(adds(users.ByShadow, "a"), maybe(adds(users.ByShadow, "b")), adds(users.ByShadow, "c"))},
		"continue":                 {"for u in a b; do id $u && continue; useradd $u; done", changes(maybe(adds(users.ByShadow, "a")), maybe(adds(users.ByShadow, "b")))},
		"if useradd":               {"if useradd app; then useradd b; else useradd c; fi", changes(maybe(adds(users.ByShadow, "app")), maybe(adds(users.ByShadow, "b")), maybe(adds(users.ByShadow, "c")))},
		"&& userdel":               {"id app && userdel app; id g && groupdel g; true", changes(maybe(users.Change{Kind: users.RemoveUser, Name: "app"}), maybe(users.Change{Kind: users.RemoveGroup, Name: "g"}))},
		"in a substitution":        {"echo $(useradd app)", changes(adds(users.ByShadow, "app"))},
		"in an assignment":         {"out=$(useradd -u 5 app 2>&1); echo $out", changes(uid(adds(users.ByShadow, "app"), 5))},
		"into a process":           {"cat <(useradd app)", changes(adds(users.ByShadow, "app"))},
		"not the function":         {"useradd() { :; }; useradd app; command useradd -u 5 app", changes(uid(adds(users.ByShadow, "app"), 5))},
		"trap":                     {"trap 'useradd app' EXIT; trap - EXIT; true", changes(maybe(adds(users.ByShadow, "app")))},
		"xargs":                    {"cat names | xargs -n1 useradd -r", changes(because(system(someUID(adds(users.ByShadow, ""), 1, guard.MaxID)), "a user called … is added, which is not known"))},
		"xargs -I":                 {"cat names | xargs -I{} useradd -u 5 {}", changes(because(uid(adds(users.ByShadow, ""), 5), "a user called … is added, which is not known"))},
		"options that may be none": {"adduser $NOT_SET app", changes(someUID(adds(users.ByAdduser, "app"), 1, guard.MaxID))},
		"plus":                     {"useradd -u +1000 app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"BusyBox -G number":        {"adduser -D -G 18 app", changes(in(adds(users.ByBusyBox, "app"), "18"))},
		"groupadd -f":              {"groupadd -f g; groupadd -f -g 5 h; groupadd -o -g 0 i", changes(addsGroup(users.ByShadow, "g"), ifFree(gid(addsGroup(users.ByShadow, "h"), 5)), shared(gid(addsGroup(users.ByShadow, "i"), 0)))},
		"defaults":                 {"sed -i s/1000/5/ /etc/login.defs; echo x >> /etc/adduser.conf; useradd -D -g users; cp x /etc/default/useradd", changes(defaults(), defaults(), defaults(), defaults())},
		"perl":                     {"perl -e 'system(\"useradd app\")'", changes(stranger("perl"))},
		"python writes":            {"python3 -c 'open(\"/etc/passwd\", \"a\").write(x)'", changes(replaced("passwd", "python3 changes /etc/passwd"))},
		"awk reads":                {"awk -F: '{ print $1 }' /etc/passwd", nil},
		"sub shell":                {"(cd /x && useradd app)", changes(adds(users.ByShadow, "app"))},
		"block":                    {"{ useradd app; }", changes(adds(users.ByShadow, "app"))},
		"for":                      {"for u in a b; do useradd $u; done", changes(adds(users.ByShadow, "a"), adds(users.ByShadow, "b"))},
		"function":                 {"new() { useradd -u $2 $1; }; new app 1000", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"sh -c":                    {"sh -c 'useradd app'", changes(adds(users.ByShadow, "app"))},
		"bash -c \"\"":             {"bash -c \"set -e; useradd -u ${APP_UID} app\"", changes(uid(adds(users.ByShadow, "app"), 1500))},
		"bash <<EOF":               {"bash -e <<'EOF'\nuseradd app\nEOF", changes(adds(users.ByShadow, "app"))},
		"| sh":                     {"echo useradd app | sh", changes(adds(users.ByShadow, "app"))},
		"eval":                     {"eval \"useradd app\"", changes(adds(users.ByShadow, "app"))},
		"env, exec, command":       {"DEBIAN_FRONTEND=x env A=b command useradd app", changes(adds(users.ByShadow, "app"))},
		"continued":                {"apt-mark auto x \\\n  && useradd \\\n -u 1000 app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"a script":                 {"#!/bin/bash\nset -e\nuseradd app\n", changes(adds(users.ByShadow, "app"))},
		"a python script":          {"#!/usr/bin/env python3\nimport os\nos.system('useradd x')\n", changes(stranger("a script"))},
		"as another user":          {"su app -c 'useradd x'", nil},
		"said":                     {"echo useradd app", nil},
		"in a comment":             {"true # useradd app", nil},
		"quoted":                   {"useradd \"my\"'app'\\x", changes(adds(users.ByShadow, "myappx"))},
		"array":                    {"o=(-u 1000 -m); useradd \"${o[@]}\" app", changes(uid(adds(users.ByShadow, "app"), 1000))},
		"line":                     {"echo \"app:x:1000:1001::/app:/bin/sh\" >> /etc/passwd", changes(home(gid(uid(adds(users.ByLine, "app"), 1000), 1001), "/app"))},
		"line, variables":          {"echo \"$APP_USER:x:$APP_UID:0::$APP_HOME:\" >>/etc/passwd", changes(home(gid(uid(adds(users.ByLine, "app"), 1500), 0), "/srv/app"))},
		"line, unknown uid":        {"echo \"app:x:$NOT_SET:0::/:\" >>/etc/passwd", changes(because(home(gid(someUID(adds(users.ByLine, "app"), 0, guard.MaxID), 0), "/"), "its line in /etc/passwd has $NOT_SET, which is not known"))},
		"line, unknown":            {"echo \"$NOT_SET\" >> /etc/passwd", changes(because(adds(users.ByLine, ""), "a line that is not known is written to /etc/passwd"))},
		"line, fetched":            {"curl -s http://x >> /etc/passwd", changes(because(adds(users.ByLine, ""), "a line that is not known is written to /etc/passwd"))},
		"echo -e":                  {"echo -e 'a:x:1:2::/:\\nb:x:3:4::/:' >> /etc/passwd", changes(maybe(home(gid(uid(adds(users.ByLine, "a"), 1), 2), "/")), maybe(home(gid(uid(adds(users.ByLine, "b"), 3), 4), "/")))},
		"printf":                   {"printf 'a:x:1:2::/:\\nb:x:3:4::/:\\n' >> /etc/passwd", changes(home(gid(uid(adds(users.ByLine, "a"), 1), 2), "/"), home(gid(uid(adds(users.ByLine, "b"), 3), 4), "/"))},
		"printf with arguments":    {"printf '%s:x:%d:0::/:\\n' a 1 b 2 >> /etc/passwd", changes(home(gid(uid(adds(users.ByLine, "a"), 1), 0), "/"), home(gid(uid(adds(users.ByLine, "b"), 2), 0), "/"))},
		"here-document":            {"cat >> /etc/passwd <<EOF\na:x:1:2::/:\nEOF", changes(home(gid(uid(adds(users.ByLine, "a"), 1), 2), "/"))},
		"here-document, variables": {"cat <<EOF >> /etc/passwd\n$APP_USER:x:$APP_UID:2::/:\nEOF", changes(home(gid(uid(adds(users.ByLine, "app"), 1500), 2), "/"))},
		"here-document, tabs":      {"cat <<-'EOF' >> /etc/passwd\n\ta:x:1:2::/:\n\tEOF", changes(home(gid(uid(adds(users.ByLine, "a"), 1), 2), "/"))},
		"tee -a":                   {"echo a:x:1:2::/: | sudo tee -a /etc/passwd > /dev/null", changes(elevated(home(gid(uid(adds(users.ByLine, "a"), 1), 2), "/")))},
		"block into it":            {"{ echo a:x:1:2::/:; echo b:x:3:4::/:; } >> /etc/passwd", changes(home(gid(uid(adds(users.ByLine, "a"), 1), 2), "/"), home(gid(uid(adds(users.ByLine, "b"), 3), 4), "/"))},
		"group file":               {"echo 'app:x:1000:' >> /etc/group", changes(gid(addsGroup(users.ByLine, "app"), 1000))},
		"in the directory":         {"cd /etc && echo 'app:x:1000:' >> group", changes(gid(addsGroup(users.ByLine, "app"), 1000))},
		"odd uid":                  {"echo 'app:x:x:' >> /etc/passwd", changes(gid(uid(adds(users.ByLine, "app"), 0), 0))},
		"id with a plus":           {"echo app:x:+5:-1 >> /etc/passwd", changes(someGID(uid(adds(users.ByLine, "app"), 5), math.MaxUint32, math.MaxUint32))},
		"id with a space":          {"echo 'app:x: 5:6' >> /etc/passwd", changes(gid(uid(adds(users.ByLine, "app"), 0), 6))},
		"no end":                   {"printf 'app:x:5:6::/:/bin/sh' >> /etc/passwd", changes(unended(home(gid(uid(adds(users.ByLine, "app"), 5), 6), "/")))},
		"written anew":             {"echo 'a:x:1:2::/:' > /etc/passwd", changes(emptied("passwd"), home(gid(uid(adds(users.ByLine, "a"), 1), 2), "/"))},
		"sed -i":                   {"sed -i 's/1000/1001/' /etc/passwd", changes(replaced("passwd", "sed changes /etc/passwd"))},
		"sed -i, both":             {"sed -i -e s/a/b/ /etc/passwd /etc/group", changes(replaced("passwd", "sed changes /etc/passwd"), replaced("group", "sed changes /etc/group"))},
		"sed -Ei":                  {"sed -Ei s/a/b/ /etc/passwd; sed -r -e s/i/j/ /etc/passwd", changes(replaced("passwd", "sed changes /etc/passwd"))},
		"dd":                       {"dd if=/tmp/p of=/etc/passwd", changes(replaced("passwd", "dd changes /etc/passwd"))},
		"rm *":                     {"rm -f /etc/passwd*", changes(emptied("passwd"))},
		"braces of files":          {"sed -i s/a/b/ /etc/{passwd,group}", changes(replaced("passwd", "sed changes /etc/passwd"), replaced("group", "sed changes /etc/group"))},
		"cp into etc":              {"cp /tmp/passwd /tmp/group /etc/", changes(replaced("passwd", "cp changes /etc/passwd"), replaced("group", "cp changes /etc/group"))},
		"install -t":               {"install -m 644 -t /etc /tmp/passwd", changes(replaced("passwd", "install changes /etc/passwd"))},
		"cp all":                   {"cp -a /rootfs/. /", changes(stranger("cp to /"))},
		"an editor":                {"ed -s /etc/passwd", changes(stranger("ed"), replaced("passwd", "ed changes /etc/passwd"))},
		"sed writes":               {"sed -n 'w /etc/passwd' /tmp/p", changes(replaced("passwd", "sed changes /etc/passwd"))},
		"another descriptor":       {"exec 3>> /etc/passwd; echo a:x:1:2 >&3", changes(because(adds(users.ByLine, ""), "a line that is not known is written to /etc/passwd"))},
		"sed reads":                {"sed -n 1p /etc/passwd; grep x /etc/passwd; cat /etc/passwd", nil},
		"cp":                       {"cp /tmp/p /etc/passwd", changes(replaced("passwd", "cp changes /etc/passwd"))},
		"cp reads":                 {"cp /etc/passwd /tmp/p", nil},
		"chmod":                    {"chmod g=u /etc/passwd", nil},
		"elsewhere":                {"echo a:x:1:2::/: >> /rootfs/etc/passwd", nil},
		"package":                  {"apt-get install -y nginx", changes(because(someUID(users.Change{Kind: users.AddUser, By: users.ByPackages}, 1, 999), "apt-get installs packages, which may add the user"))},
		"a local script":           {"./setup.sh", changes(stranger("./setup.sh"))},
		"a script by sh":           {"sh /tmp/setup.sh", changes(stranger("/tmp/setup.sh"))},
		"curl | sh":                {"curl -fsSL https://x/install | bash -", changes(stranger("bash"))},
		"a program nobody knows":   {"frobnicate --all", changes(stranger("frobnicate"))},
		"a variable":               {"$TOOL x", changes(stranger("$TOOL"))},
		"two":                      {"./a.sh; ./b.sh", changes(stranger("./a.sh"))},
		"programs everybody knows": {"mkdir -p /x && cd /x && make && npm ci && go build ./... && pip install -r r.txt && ls", nil},
		"not written well":         {"useradd app; if", changes(adds(users.ByShadow, "app"), stranger("a line that cannot be followed"))},
		"empty":                    {"", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, shell.Line(tt.line, shell.Place{Env: environment}).Users); diff != "" {
				t.Errorf("Line(%q).Users (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func give(path, owner string, recursive bool) guard.Ownership {
	return guard.Ownership{Path: path, Owner: owner, Recursive: recursive}
}

func TestStepsOfLines(t *testing.T) {
	list := func(s ...string) []string { return s }
	gives := func(g ...guard.Ownership) []guard.Ownership { return g }
	tests := map[string]struct {
		line string
		want guard.Step
	}{
		"apt-get":           {"apt-get update && apt-get install -y --no-install-recommends nginx=1.2-3 curl/bookworm libc6:amd64 && rm -rf /var/lib/apt/lists/*", guard.Step{Manager: "apt-get", Installs: list("nginx", "curl", "libc6")}},
		"apt-get -t":        {"apt-get -qq -o Dpkg::Use-Pty=0 -t sid install g++ x-", guard.Step{Manager: "apt-get", Installs: list("g++"), Removes: list("x")}},
		"apt":               {"DEBIAN_FRONTEND=noninteractive apt install -yq sudo ./tool_1.2_amd64.deb", guard.Step{Manager: "apt", Installs: list("sudo", "tool")}},
		"apt-get purge":     {"apt-get purge -y --auto-remove sudo gcc", guard.Step{Manager: "apt-get", Removes: list("sudo", "gcc")}},
		"apt-get update":    {"apt-get update", guard.Step{Manager: "apt-get"}},
		"variable":          {"pkgs='a b'; apt-get install $pkgs $NOT_SET", guard.Step{Manager: "apt-get", Installs: list("a", "b", "$NOT_SET")}},
		"apk":               {"apk add --no-cache sudo 'nginx>=1.2' curl~8 bash@edge", guard.Step{Manager: "apk", Installs: list("sudo", "nginx", "curl", "bash")}},
		"apk --virtual":     {"apk --no-cache add --virtual .build gcc make && make && apk del .build", guard.Step{Manager: "apk", Installs: list("gcc", "make"), Removes: list("gcc", "make", ".build")}},
		"apk -X":            {"apk add -U -X https://x/edge --repository=https://y nmap", guard.Step{Manager: "apk", Installs: list("nmap")}},
		"apk elsewhere":     {"apk add --root /rootfs --initdb busybox", guard.Step{}},
		"yum":               {"yum -y install httpd-2.4.6-1.el7.x86_64 java-11-openjdk-devel postgresql-12 && yum clean all", guard.Step{Manager: "yum", Installs: list("httpd", "java-11-openjdk-devel", "postgresql-12")}},
		"dnf":               {"dnf install -y --setopt=install_weak_deps=False --enablerepo powertools https://x/epel-release-latest-9.noarch.rpm", guard.Step{Manager: "dnf", Installs: list("epel-release-latest-9")}},
		"dnf elsewhere":     {"dnf install --installroot /mnt/rootfs -y bash", guard.Step{}},
		"microdnf":          {"microdnf install --nodocs tar && microdnf remove tar", guard.Step{Manager: "microdnf", Installs: list("tar"), Removes: list("tar")}},
		"zypper":            {"zypper --non-interactive in -y sudo", guard.Step{Manager: "zypper", Installs: list("sudo")}},
		"pacman":            {"pacman -Syu --noconfirm nmap sudo", guard.Step{Manager: "pacman", Installs: list("nmap", "sudo")}},
		"pacman -R":         {"pacman -Rns --noconfirm sudo", guard.Step{Manager: "pacman", Removes: list("sudo")}},
		"pacman -Scc":       {"pacman -Scc --noconfirm", guard.Step{Manager: "pacman"}},
		"dpkg":              {"dpkg -i /tmp/tool_1_all.deb", guard.Step{Manager: "dpkg", Installs: list("tool")}},
		"rpm":               {"rpm -Uvh https://x/tool-1.2-3.noarch.rpm; rpm -q x; rpm -e sudo", guard.Step{Manager: "rpm", Installs: list("tool"), Removes: list("sudo")}},
		"pip":               {"pip install apk", guard.Step{}},
		"rm of a manager":   {"rm -f /usr/bin/apt* /sbin/apk", guard.Step{Removes: list("/usr/bin/apt*", "/usr/bin/apt", "/usr/bin/apt-get", "/usr/bin/apt-cache", "/usr/bin/apt-key", "/sbin/apk")}},
		"curl -o":           {"curl -fsSLo /usr/local/bin/kubectl https://x && wget -qO /usr/bin/nc https://y", guard.Step{Installs: list("kubectl", "nc")}},
		"chmod u+s":         {"chmod u+s /usr/bin/ping", guard.Step{Setuid: list("/usr/bin/ping")}},
		"chmod +s":          {"chmod +s /usr/bin/ping", guard.Step{Setuid: list("/usr/bin/ping")}},
		"chmod ug+s":        {"chmod a+x,ug+s tool", guard.Step{Setuid: list("tool")}},
		"chmod 4755":        {"chmod 4755 /a /b", guard.Step{Setuid: list("/a", "/b")}},
		"chmod 04755":       {"chmod 04755 /usr/bin/gosu", guard.Step{Setuid: list("/usr/bin/gosu")}},
		"chmod 2755":        {"chmod 2755 /usr/bin/wall; chmod 2775 /var/www", guard.Step{Setuid: list("/usr/bin/wall")}},
		"chmod u-s":         {"chmod u-s /usr/bin/ping; chmod a-s x; find / -perm /6000 -type f -exec chmod a-s {} \\; || true", guard.Step{}},
		"chmod u=rwxs":      {"chmod u=rwxs,go=rx /x", guard.Step{Setuid: list("/x")}},
		"setcap":            {"setcap 'cap_net_bind_service=+ep' /usr/bin/node; setcap -r /x", guard.Step{Setuid: list("/usr/bin/node")}},
		"install -m":        {"install -m 4755 tool /usr/bin/tool", guard.Step{Setuid: list("/usr/bin/tool")}},
		"chmod 777":         {"chmod 777 /app /tmp /var/tmp /dev/shm /tmp/x", guard.Step{Opens: list("/app")}},
		"chmod -R 777":      {"chmod -R 0777 /app/", guard.Step{Opens: list("/app")}},
		"chmod 1777":        {"chmod 1777 /data", guard.Step{}},
		"chmod a+w":         {"chmod -R a+rwX /a; chmod o+w /b; chmod ugo+rwx /c; chmod 666 /d; chmod u=rwX,go=rwX /e", guard.Step{Opens: list("/a", "/b", "/c", "/d", "/e")}},
		"chmod +w":          {"chmod +x /a; chmod +w /b; chmod g+w /c; chmod 775 /d; chmod a-w /e; chmod a+w,o-w /f; chmod -w /g", guard.Step{}},
		"chmod unknown":     {"chmod $MODE /a", guard.Step{}},
		"chmod in":          {"cd /srv && chmod 777 data ./logs", guard.Step{Opens: list("/srv/data", "/srv/logs")}},
		"mkdir -m":          {"mkdir -m 777 -p /data; mkdir -m 1777 /t", guard.Step{Opens: list("/data")}},
		"find -exec chmod":  {"find /app -type d -exec chmod 777 {} +", guard.Step{Opens: list("/app")}},
		"chown":             {"chown app:app /data", guard.Step{Gives: gives(give("/data", "app:app", false))}},
		"chown -R":          {"chown -R $APP_USER:$APP_USER /app $APP_HOME", guard.Step{Gives: gives(give("/app", "app:app", true), give("/srv/app", "app:app", true))}},
		"chown, unknown":    {"chown -hR \"$NOT_SET\" \"$DIR/x\"", guard.Step{Gives: gives(give("$DIR/x", "$NOT_SET", true))}},
		"chown root":        {"chown -R root:root /a; chown 0:0 /b; chown root /c; chown root:app /d; chown root. /e", guard.Step{}},
		"chown --from":      {"chown --from=root -R app /a; chown --reference=/x /b", guard.Step{Gives: gives(give("/a", "app", true))}},
		"chgrp":             {"chgrp -R app /a; chgrp -R 0 /b", guard.Step{Gives: gives(give("/a", ":app", true))}},
		"chown relative":    {"chown -R app .", guard.Step{Gives: gives(give(".", "app", true))}},
		"find -exec chown":  {"find /data \\! -user redis -exec chown redis '{}' +", guard.Step{Gives: gives(give("/data", "redis", false))}},
		"install -o":        {"install -d -o app -g app -m 0755 /data /logs", guard.Step{Gives: gives(give("/data", "app:app", false), give("/logs", "app:app", false))}},
		"install a file":    {"install -o app x y /opt/bin", guard.Step{Gives: gives(give("/opt/bin", "app", false))}},
		"sudoers":           {"echo 'app ALL=(ALL) NOPASSWD:ALL' >> /etc/sudoers", guard.Step{Sudoers: true}},
		"sudoers.d":         {"echo \"$NOT_SET ALL=(ALL:ALL) NOPASSWD: ALL\" > /etc/sudoers.d/$NOT_SET && chmod 0440 /etc/sudoers.d/x", guard.Step{Sudoers: true}},
		"sudoers, tee":      {"echo 'app ALL=(ALL) NOPASSWD:ALL' | tee /etc/sudoers.d/app", guard.Step{Sudoers: true}},
		"sudoers, sed":      {"sed -i 's/^%sudo.*/%sudo ALL=(ALL) NOPASSWD:ALL/' /etc/sudoers", guard.Step{Sudoers: true}},
		"sudoers, printf":   {"printf 'app ALL=(ALL) NOPASSWD:ALL\\n' >/etc/sudoers.d/a", guard.Step{Sudoers: true}},
		"sudoers, visudo":   {"echo 'app ALL=(ALL) NOPASSWD:ALL' | EDITOR='tee -a' visudo", guard.Step{Sudoers: true}},
		"sudoers, heredoc":  {"cat > /etc/sudoers.d/a <<EOF\napp ALL=(ALL) NOPASSWD:ALL\nEOF", guard.Step{Sudoers: true}},
		"sudoers, password": {"echo 'app ALL=(ALL) ALL' >> /etc/sudoers", guard.Step{}},
		"doas":              {"echo 'permit nopass app' > /etc/doas.conf", guard.Step{Sudoers: true}},
		"said":              {"echo 'app ALL=(ALL) NOPASSWD:ALL'", guard.Step{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, shell.Line(tt.line, shell.Place{Env: environment}).Step); diff != "" {
				t.Errorf("Line(%q).Step (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func TestArgv(t *testing.T) {
	got := shell.Argv([]string{"useradd", "-u", "1000", "$APP"}, shell.Place{})
	if diff := cmp.Diff(changes(uid(adds(users.ByShadow, "$APP"), 1000)), got.Users); diff != "" {
		t.Errorf("Argv (-want +got):\n%s", diff)
	}
	got = shell.Argv([]string{"/bin/bash", "-c", "chmod 777 /a && useradd app"}, shell.Place{})
	want := shell.Effects{Step: guard.Step{Opens: []string{"/a"}}, Users: changes(adds(users.ByShadow, "app"))}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Argv (-want +got):\n%s", diff)
	}
	if got := shell.Argv(nil, shell.Place{}); !cmp.Equal(got, shell.Effects{}) {
		t.Errorf("Argv(nil) = %+v", got)
	}
}

// TestPlace holds what is known of a line because of where it is run.
func TestPlace(t *testing.T) {
	nobody := func(string) bool { return true }
	app := uid(adds(users.ByShadow, "app"), 5)
	tests := map[string]struct {
		line string
		at   shell.Place
		want []users.Change
	}{
		"directory":          {"echo app:x:5:6 >> passwd", shell.Place{Dir: "/etc"}, changes(gid(uid(adds(users.ByLine, "app"), 5), 6))},
		"unset":              {"if [ -n \"$ROOT\" ]; then useradd -o -u 0 app; else useradd -u 5 app; fi", shell.Place{Unset: nobody}, changes(app)},
		"unset, no word":     {"useradd $OPTIONS -u 5 app", shell.Place{Unset: nobody}, changes(app)},
		"unset, alternative": {"useradd ${ROOT:+-o -u 0} -u 5 app", shell.Place{Unset: nobody}, changes(app)},
		"unset, default":     {"useradd -u ${ID:-5} ${NAME-app}${X:-}", shell.Place{Unset: nobody}, changes(app)},
		"set by the shell":   {"[ -n \"$PPID\" ] && useradd -u 5 app", shell.Place{Unset: nobody}, changes(maybe(app))},
		"set by a file":      {". /env; [ -n \"$ROOT\" ] && useradd -u 5 app", shell.Place{Unset: nobody}, changes(stranger("/env"), maybe(app))},
		"set by a name":      {"export $LINE; export \"$(cat /env)\"; [ -n \"$ROOT\" ] && useradd -u 5 app", shell.Place{Unset: nobody}, changes(maybe(app))},
		"unset by hand":      {"unset APP_UID; [ -n \"$APP_UID\" ] && useradd -u 5 app", shell.Place{Env: environment}, changes(maybe(app))},
		"bash":               {"echo 'app:x:5:6::/\\nb:x:0:0' >> /etc/passwd", shell.Place{Shell: []string{"/bin/bash", "-c"}}, changes(home(gid(uid(adds(users.ByLine, "app"), 5), 6), "/\\nb"))},
		"bash, echo -e":      {"echo -e 'app:x:5:6\\nb:x:0:0' >> /etc/passwd", shell.Place{Shell: []string{"/bin/bash", "-c"}}, changes(gid(uid(adds(users.ByLine, "app"), 5), 6), gid(uid(adds(users.ByLine, "b"), 0), 0))},
		"bash's UID":         {"useradd -o -u $UID app", shell.Place{Shell: []string{"/bin/bash", "-c"}}, changes(shared(uid(adds(users.ByShadow, "app"), 0)))},
		"an argument UID":    {"useradd -u $UID app", shell.Place{Shell: []string{"/bin/bash", "-c"}, Env: func(string) (string, bool) { return "5", true }}, changes(app)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, shell.Line(tt.line, tt.at).Users); diff != "" {
				t.Errorf("Line(%q).Users (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}
