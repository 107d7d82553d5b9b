package shell

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// run runs a command: a function, a builtin, or a program.
func (m *machine) run(c call) (flow, verdict) {
	name := c.argv[0]
	if m.funcs[name] != nil && known(name) {
		return m.callFunction(name, c.argv[1:])
	}
	return m.runPlain(c)
}

// runPlain runs a builtin or a program, whatever functions there are.
func (m *machine) runPlain(c call) (flow, verdict) {
	name := c.argv[0]
	if name == "." || name == "source" {
		if f, v, ok := m.sourced(c.argv[1:]); ok {
			return f, v
		}
		m.unset = nil // it may set anything
	}
	if f, v, ok := m.flowBuiltin(c); ok {
		return f, v
	}
	if v, ok := m.builtin(name, c.argv[1:]); ok {
		return next, v
	}
	return m.program(c)
}

// sourced runs the lines of a file, where they are known.
func (m *machine) sourced(args []string) (flow, verdict, bool) {
	if m.file == nil || len(args) == 0 || !known(args[0]) {
		return 0, perhaps, false
	}
	content, ok := m.file(args[0])
	if !ok || len(m.calls) > maxDepth {
		return 0, perhaps, false
	}
	params := m.now.params
	if len(args) > 1 {
		m.now.params = args[1:]
	}
	f, v := m.follow(string(content))
	if len(args) > 1 {
		m.now.params = params
	}
	if f&back != 0 {
		f |= next
	}
	return f &^ back, v, true
}

// callFunction runs a function with its parameters.
func (m *machine) callFunction(name string, params []string) (flow, verdict) {
	if len(m.calls) > maxDepth {
		m.lost = true
		return next, perhaps
	}
	outer := m.now.params
	fr := &frame{name: name}
	m.calls = append(m.calls, fr)
	m.now.params = params
	f, v := m.stmt(m.funcs[name])
	m.calls = m.calls[:len(m.calls)-1]
	if !f.ends() {
		fr.states = merge(fr.states, m.now)
		fr.result = append(fr.result, v)
	}
	if fr.states != nil {
		m.now = fr.states
	}
	m.now.params = outer
	if f&back != 0 {
		f |= next
	}
	return f &^ (back | broken | again), unanimous(fr.result)
}

// flowBuiltin are the builtins that lead elsewhere.
func (m *machine) flowBuiltin(c call) (flow, verdict, bool) {
	args := c.argv[1:]
	switch c.argv[0] {
	case "exec":
		f, v := m.exec(c)
		return f, v, true
	case "exit":
		return m.exit(args), perhaps, true
	case "return":
		m.doReturn(args)
		return back, perhaps, true
	case "break":
		return broken, yes, true
	case "continue":
		return again, yes, true
	case "eval":
		f, v := m.eval(args)
		return f, v, true
	case "command", "builtin":
		f, v := m.commandBuiltin(c, args)
		return f, v, true
	}
	return 0, perhaps, false
}

// exit ends the shell. A step that fails makes no image, so that nothing is left of that way.
func (m *machine) exit(args []string) flow {
	failure := len(args) > 0 && known(args[0]) && args[0] != "0"
	if m.nested > 0 {
		return gone
	}
	m.exits(m, failure)
	if failure {
		return 0
	}
	return gone
}

// eval runs its words as a line.
func (m *machine) eval(args []string) (flow, verdict) {
	line := strings.Join(args, " ")
	if !known(line) {
		m.unset = nil
		return next, m.runs(m, call{argv: []string{open(shown(line), false)}})
	}
	return m.follow(line)
}

// commandBuiltin runs a program or builtin by its name; with -v it only asks.
func (m *machine) commandBuiltin(c call, args []string) (flow, verdict) {
	if len(args) > 0 && (args[0] == "-p" || args[0] == "--") {
		args = args[1:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return next, perhaps
	}
	c.argv = args
	return m.runPlain(c)
}

// trap runs the line of a trap for what it does in the end, if it does.
func (m *machine) trap(args []string) {
	if !m.aside || len(args) < 2 || !known(args[0]) || strings.HasPrefix(args[0], "-") {
		return
	}
	m.maybe++
	m.subshell(func() (flow, verdict) { return m.follow(args[0]) })
	m.maybe--
}

// doReturn ends a function.
func (m *machine) doReturn(args []string) {
	if len(m.calls) == 0 {
		return
	}
	fr := m.calls[len(m.calls)-1]
	fr.states = merge(fr.states, m.now.clone())
	v := perhaps
	if len(args) > 0 && known(args[0]) {
		v = verdictOf(args[0] == "0")
	}
	fr.result = append(fr.result, v)
}

// exec puts a program in the place of the shell.
func (m *machine) exec(c call) (flow, verdict) {
	o := parseOptions("a: c l", c.argv[1:], true)
	if len(o.operands) == 0 {
		return next, yes
	}
	c.argv, c.exec = o.operands, m.nested == 0
	if at := slices.Index(c.argv, anyParams()); at >= 0 && m.now.others != nil {
		return m.execAny(c, at)
	}
	_, v := m.program(c)
	return gone, v
}

// execAny is exec "$@" where the parameters are one list or another.
func (m *machine) execAny(c call, at int) (flow, verdict) {
	var ways []func() (flow, verdict)
	for _, params := range m.now.others {
		ways = append(ways, func() (flow, verdict) {
			c := c
			c.argv = slices.Concat(c.argv[:at], params, c.argv[at+1:])
			if len(c.argv) == 0 {
				return next, yes
			}
			_, v := m.program(c)
			return gone, v
		})
	}
	return m.either(ways...)
}

// builtin are those that change the shell itself, or nothing.
func (m *machine) builtin(name string, args []string) (verdict, bool) {
	switch name {
	case "trap":
		m.trap(args)
		return yes, true
	case "true", ":", "umask", "ulimit", "shopt", "hash", "alias", "wait", "times":
		return yes, true
	case "false":
		return no, true
	case "[":
		if len(args) > 0 && args[len(args)-1] == "]" {
			args = args[:len(args)-1]
		}
		return testCommand(args), true
	case "test":
		return testCommand(args), true
	case "shift":
		return m.shift(args), true
	case "read", "getopts", "mapfile", "readarray":
		m.readVariables(args)
		return perhaps, true
	}
	return yes, m.setBuiltin(name, args)
}

// setBuiltin are those that set something and always succeed.
func (m *machine) setBuiltin(name string, args []string) bool {
	switch name {
	case "set":
		m.setParams(args)
	case "unset":
		for _, a := range args {
			delete(m.now.arrays, a)
			m.now.vars[a] = open("$"+a, true) // not what the environment has
		}
	case "cd", "pushd":
		m.changeDirectory(args)
	case "export", "local", "readonly", "declare", "typeset":
		m.assignWords(args)
	default:
		return false
	}
	return true
}

func (m *machine) assignWords(args []string) {
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		switch {
		case !known(name):
			m.unset = nil
		case ok:
			m.set(name, value)
		}
	}
}

// setParams is "set -- a b"; options alone change nothing.
func (m *machine) setParams(args []string) {
	for i, a := range args {
		switch {
		case a == "--":
			m.now.params = args[i+1:]
			return
		case !strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "+"):
			if i > 0 && (args[i-1] == "-o" || args[i-1] == "+o" || strings.HasSuffix(args[i-1], "o")) {
				continue // set -o pipefail
			}
			m.now.params = args[i:]
			return
		}
	}
}

func (m *machine) shift(args []string) verdict {
	n := 1
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil {
			m.now.params, m.now.others = []string{anyParams()}, nil
			return perhaps
		}
	}
	for range n {
		switch {
		case len(m.now.params) == 0:
			return no
		case loose(m.now.params[0]):
			return perhaps
		}
		m.now.params = m.now.params[1:]
	}
	return yes
}

func (m *machine) readVariables(args []string) {
	for _, a := range args {
		if known(a) && !strings.HasPrefix(a, "-") {
			m.set(a, open("$"+a, true))
		}
	}
}

func (m *machine) changeDirectory(args []string) {
	dir := ""
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			dir = a
		}
	}
	switch {
	case !known(dir) || dir == "":
		m.now.cwd = ""
	case strings.HasPrefix(dir, "/"):
		m.now.cwd = path.Clean(dir)
	case m.now.cwd != "":
		m.now.cwd = path.Join(m.now.cwd, dir)
	}
}
