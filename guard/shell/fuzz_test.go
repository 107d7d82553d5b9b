package shell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
)

// patience is how long one text may take. The bounds of the package keep it far below.
const patience = 10 * time.Second

func FuzzLine(f *testing.F) {
	for _, seed := range []string{
		"useradd -u 1000 app", "for i in $(seq 9); do adduser -D u$i; done", "while :; do x=$x$x; done", "f() { f; f; }; f",
		"echo 'a:b:1:2' >> /etc/passwd", "cat <<EOF >/etc/sudoers\n$X NOPASSWD\nEOF", "chmod u+s,o=w /a", "a=(1 2); chmod ${a[@]} x",
		"${x:-${y:=${z#*/}}}", "printf '%s\\x41\\0' a b", "case $x in [a-z]*) ;; esac", "$((1/0)) $((x++))", "apk add -t .b 'a>1'; apk del .b",
		"bash -c \"bash -c 'useradd x'\"", "[ ! ( a = b -o -n c ) ]", "sudo -u '#1' x", "eval eval eval useradd x", "\x00", "\x01",
		"find / -exec chmod 777 {} +", "install -t", "su -", "env -S", "setcap -n", "useradd --uid", "``>A", "xargs -I{} useradd {}", "cp a /etc", "ls /etc/{passwd,*}", "echo -", "printf %",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		start := time.Now()
		effects := shell.Line(line, shell.Place{Env: environment})
		shell.Line(line, shell.Place{Dir: "/etc", Unset: func(string) bool { return true }, Shell: []string{"bash"}})
		shell.Argv(strings.Fields(line), shell.Place{})
		for _, c := range effects.Users {
			if strings.ContainsAny(c.Name+c.Group+c.Why+c.Home+c.NewName, "\x00\x01") {
				t.Errorf("Line(%q): a mark is left in %+v", line, c)
			}
		}
		step := effects.Step
		all := append(append(append(append([]string{step.Manager}, step.Installs...), step.Removes...), step.Setuid...), step.Opens...)
		for _, g := range step.Gives {
			all = append(all, g.Path, g.Owner)
		}
		if strings.ContainsAny(strings.Join(all, ""), "\x00\x01") {
			t.Errorf("Line(%q): a mark is left in %+v", line, step)
		}
		if took := time.Since(start); took > patience {
			t.Errorf("Line took %v", took)
		}
	})
}

func FuzzScriptDrop(f *testing.F) {
	for _, seed := range []string{
		redisScript, postgresScript, mongoScript, mysqlScript, elasticScript, rabbitScript, jenkinsScript, nodeScript, consulScript,
		puidScript, "while true; do f() { return 1; }; f || exec gosu a b; done", "#!/bin/execlineb\ns6-setuidgid a b",
	} {
		f.Add([]byte(seed), "redis-server a")
	}
	f.Fuzz(func(t *testing.T, script []byte, args string) {
		start := time.Now()
		drops := []*guard.Drop{
			shell.ScriptDrop(script, strings.Fields(args)),
			shell.CommandDrop([]string{"/bin/sh", "-c", string(script)}),
			shell.CommandDrop(strings.Fields(args)),
		}
		for _, d := range drops {
			if d != nil && (d.To.Root() || d.Spec == "" || strings.ContainsAny(d.Spec, "\x00\x01")) {
				t.Errorf("a drop to %+v", *d)
			}
		}
		shell.Started([]string{"sh", "-c", string(script)})
		shell.Writes(string(script), shell.Place{Dir: "/"}, "/entry")
		if took := time.Since(start); took > patience {
			t.Errorf("ScriptDrop took %v", took)
		}
	})
}

// TestBounds holds texts that would take forever, or all memory, if they were run.
func TestBounds(t *testing.T) {
	tests := map[string]string{
		"deep parentheses":  strings.Repeat("(", 50000) + "gosu",
		"deep blocks":       strings.Repeat("{ ", 20000) + "gosu a b" + strings.Repeat("; }", 20000),
		"deep if":           strings.Repeat("if ", 20000) + "gosu",
		"deep substitution": strings.Repeat("$(", 20000) + "gosu",
		"deep defaults":     "gosu " + strings.Repeat("${a:-", 10000) + "b" + strings.Repeat("}", 10000),
		"deep quotes":       "gosu " + strings.Repeat("\"$(", 5000),
		"deep arithmetic":   "gosu $((" + strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000) + "))",
		"long list":         strings.Repeat("a && ", 40000) + "gosu a b",
		"recursion":         "f() { f; gosu a b; f; }; f",
		"doubling":          "x=gosu; " + strings.Repeat("x=$x$x; ", 60) + "$x",
		"doubling an array": "x=(gosu a); " + strings.Repeat("x+=(\"${x[@]}\"); ", 60) + "\"${x[@]}\"",
		"doubling params":   "set -- gosu a; " + strings.Repeat("set -- \"$@\" \"$@\"; ", 60) + "\"$@\"",
		"nested loops":      strings.Repeat("for i in 1 2 3 4 5 6 7 8 9; do ", 15) + "gosu a b" + strings.Repeat("; done", 15),
		"many ways":         strings.Repeat("if x; then a=$b; else a=$c; fi; ", 3000) + "gosu a b",
		"nested ways":       strings.Repeat("if x; then ", 40) + "gosu a b" + strings.Repeat("; fi; useradd $a", 40),
		"eval in eval":      "x='eval \"$x$x\"; gosu a b'; eval \"$x\"",
		"patterns":          "x=" + strings.Repeat("a", 500) + "; " + strings.Repeat("y=${x%%"+strings.Repeat("*a", 30)+"b}; ", 500) + "gosu a b",
		"printf":            "printf '%s' " + strings.Repeat("gosu ", 20000) + " >> /etc/passwd",
		"replacing":         "x=gosu; " + strings.Repeat("x=${x//u/uuuuuuuuuuuuuuuuuuuuu}; ", 500),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			shell.ScriptDrop([]byte(text), nil)
			shell.Line("useradd a\n"+text, shell.Place{})
			shell.Started([]string{"sh", "-c", text})
			if took := time.Since(start); took > patience {
				t.Errorf("took %v", took)
			}
		})
	}
}

// BenchmarkLine is one RUN line of many, first one that tells nothing.
func BenchmarkLine(b *testing.B) {
	const dull = "npm ci --omit=dev && npm run build && cp -r dist /srv && tar xf a.tar.gz -C /opt --strip-components=1"
	const telling = "set -eux; groupadd -r app --gid=999; useradd -r -g app --uid=999 app; apt-get update; " +
		"apt-get install -y --no-install-recommends ca-certificates curl gosu; rm -rf /var/lib/apt/lists/*; chown -R app:app /data"
	b.Run("dull", func(b *testing.B) {
		for b.Loop() {
			shell.Line(dull, shell.Place{})
		}
	})
	b.Run("telling", func(b *testing.B) {
		for b.Loop() {
			shell.Line(telling, shell.Place{})
		}
	})
}
