package shell

import (
	"path"
	"slices"
	"strings"
)

// program runs a program, after everything that only starts another one is taken off.
func (m *machine) program(c call) (flow, verdict) {
	elevated := m.elevated
	defer func() { m.elevated = elevated }()
	m.unsure = m.unsure || !harmless(c.argv)
	for range maxDepth {
		if len(c.argv) == 0 {
			return next, yes
		}
		if d, inner := dropOf(c.argv, m.user()); d != nil {
			m.drops(m, *d, call{argv: inner, exec: c.exec})
			return m.after(c), yes
		} else if inner != nil { // it becomes root, which it mostly is
			if name := path.Base(c.argv[0]); name == "sudo" || name == "doas" {
				m.elevated++
			}
			c.argv = inner
			continue
		}
		if line, params, ok := shellLine(c); ok {
			return m.inner(c, line, params)
		}
		inner, ok := m.unwrap(c.argv)
		if !ok {
			break
		}
		c.argv = inner
	}
	return m.after(c), m.runs(m, c)
}

// harmless reports whether a program cannot fail.
func harmless(argv []string) bool {
	return len(argv) == 0 || argv[0] == "echo" || argv[0] == "printf"
}

// after is the flow behind a program.
func (m *machine) after(c call) flow {
	if c.exec {
		return gone
	}
	return next
}

// user is the user that s6-envuidgid put into the environment.
func (m *machine) user() string { return m.now.vars["\x00UID"] }

// inner runs the line of sh -c. What the shell is when it ends is what the script is, where it took its place.
func (m *machine) inner(c call, line string, params []string) (flow, verdict) {
	do := func() (flow, verdict) {
		name, funcs, bash := m.name, m.funcs, m.bash
		m.bash = isBash(c.argv[0])
		if len(params) > 0 {
			m.name, params = params[0], params[1:]
		}
		m.now.params = params
		f, v := m.follow(line)
		m.name, m.funcs, m.bash = name, funcs, bash
		return f, v
	}
	if !c.exec {
		return m.subshell(do)
	}
	f, v := do()
	if !f.ends() {
		m.exits(m, false)
	}
	return gone, v
}

// isShell reports whether a program reads shell scripts.
func isShell(program string) bool {
	switch path.Base(program) {
	case "sh", "bash", "dash", "ash", "ksh", "mksh", "zsh":
		return true
	}
	return false
}

// isBash reports whether a shell sets UID and EUID.
func isBash(program string) bool {
	name := path.Base(program)
	return name == "bash" || name == "zsh"
}

// shellLine is the line that a shell is given: by -c, or on its standard input.
func shellLine(c call) (line string, params []string, ok bool) {
	if !isShell(c.argv[0]) {
		return "", nil, false
	}
	o := shellOptions(c.argv[1:])
	if o.has("c") {
		if len(o.operands) == 0 {
			return "", nil, false
		}
		return lineOf(o.operands[0]), o.operands[1:], known(lineOf(o.operands[0]))
	}
	if c.stdin != nil && (len(o.operands) == 0 || o.has("s")) && known(*c.stdin) {
		return *c.stdin, append([]string{c.argv[0]}, o.operands...), true
	}
	return "", nil, false
}

// lineOf is a shell's line: a variable that our shell could not expand is left to the inner one, where it means
// the same, if not in every odd case.
func lineOf(word string) string { return shown(word) }

func shellOptions(args []string) options {
	return parseOptions("c s e u x l i o: O: rcfile: init-file:", args, true)
}

// shellScript is the file that a shell is given, with its arguments.
func shellScript(argv []string) (script []string, ok bool) {
	if !isShell(argv[0]) {
		return nil, false
	}
	o := shellOptions(argv[1:])
	if o.has("c") || o.has("s") || len(o.operands) == 0 || o.operands[0] == "-" {
		return nil, false
	}
	return o.operands, true
}

// wrapper is a program that starts another one as the same user.
type wrapper struct {
	options string // as parseOptions takes them
	skip    int    // words before the program
}

// wrapperOf knows the programs that only start another one.
func wrapperOf(name string) (wrapper, bool) {
	switch name {
	case "nohup", "setsid", "chronic", "eatmydata", "fakeroot", "time", "linux32", "linux64", "builtin", "catchsegv",
		"with-contenv", "unbuffer", "dbus-run-session", "busybox", "toybox", "ssh-agent", "script", "pid1", "init", "retry",
		"opentelemetry-instrument", "ddtrace-run", "newrelic-admin":
		return wrapper{}, true
	case "chrt", "taskset":
		return wrapper{"", 1}, true
	case "tini", "tini-static", "docker-init":
		return wrapper{"s v w g p: e: l h", 0}, true
	case "dumb-init":
		return wrapper{"r|rewrite: c|single-child v|verbose", 0}, true
	case "catatonit":
		return wrapper{"g P", 0}, true
	}
	return prioritized(name)
}

// prioritized knows those that set how much of the machine a program gets, and the like.
func prioritized(name string) (wrapper, bool) {
	switch name {
	case "nice":
		return wrapper{"n|adjustment:", 0}, true
	case "ionice":
		return wrapper{"c|class: n|classdata: t|ignore", 0}, true
	case "stdbuf":
		return wrapper{"i|input: o|output: e|error:", 0}, true
	case "timeout":
		return wrapper{"s|signal: k|kill-after: t:", 1}, true
	case "numactl":
		return wrapper{"m|membind: N|cpunodebind: C|physcpubind: p|preferred: i|interleave:", 0}, true
	case "xvfb-run":
		return wrapper{"a e: f: n: p: s: w:", 0}, true
	case "flock":
		return wrapper{"w|timeout: E: c:", 1}, true
	case "xargs":
		return wrapper{"a: d: E: I: L: n: P: s:", 0}, true
	case "strace":
		return wrapper{"e: o: s: p: u: E:", 0}, true
	}
	return wrapper{}, false
}

// unwrap takes a program off that only starts another one.
func (m *machine) unwrap(argv []string) ([]string, bool) {
	if !known(argv[0]) {
		return nil, false
	}
	name := path.Base(argv[0])
	switch name {
	case "env":
		return m.unwrapEnv(argv[1:])
	case "s6-envuidgid", "envuidgid":
		if len(argv) > 2 {
			m.now.vars["\x00UID"] = argv[1]
			return argv[2:], true
		}
		return nil, false
	case "find":
		return findExec(argv[1:])
	case "command", "exec":
		return argv[1:], len(argv) > 1
	}
	w, ok := wrapperOf(name)
	if !ok {
		return nil, false
	}
	o := parseOptions(w.options, argv[1:], true)
	rest := o.operands
	if w.skip >= len(rest) {
		return nil, false
	}
	if name == "xargs" {
		return withInput(rest, first(o.last("I"))), true
	}
	return rest[w.skip:], true
}

// withInput are the words of a program that xargs starts: what it reads stands at the end, or in place of a word.
func withInput(argv []string, place string) []string {
	read := open("…", false)
	if place == "" {
		return append(slices.Clip(argv), read)
	}
	argv = slices.Clone(argv)
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], place, read)
	}
	return argv
}

// unwrapEnv takes env and its assignments off. -S splits its argument as a shell would, nearly.
func (m *machine) unwrapEnv(args []string) ([]string, bool) {
	o := parseOptions("i|ignore-environment u|unset: C|chdir: S|split-string: 0|null v|debug", args, true)
	rest := o.operands
	if line, ok := o.last("S"); ok {
		rest = append(strings.Fields(line), rest...)
	}
	for len(rest) > 0 {
		name, value, ok := strings.Cut(rest[0], "=")
		if !ok || !known(name) {
			break
		}
		m.set(name, value)
		rest = rest[1:]
	}
	return rest, len(rest) > 0
}

// findExec is the program that find -exec runs, on the places where find begins.
func findExec(args []string) ([]string, bool) {
	at := slices.IndexFunc(args, func(a string) bool { return a == "-exec" || a == "-execdir" || a == "-ok" })
	if at < 0 {
		return nil, false
	}
	starts := args[:at]
	if end := slices.IndexFunc(starts, func(a string) bool { return strings.HasPrefix(a, "-") || a == "!" || a == "(" }); end >= 0 {
		starts = starts[:end]
	}
	if len(starts) == 0 {
		starts = []string{"."}
	}
	argv := args[at+1:]
	if end := slices.IndexFunc(argv, func(a string) bool { return a == ";" || a == "+" }); end >= 0 {
		argv = argv[:end]
	}
	if i := slices.Index(argv, "{}"); i >= 0 {
		argv = slices.Concat(argv[:i], starts, argv[i+1:])
	}
	return argv, len(argv) > 0
}
