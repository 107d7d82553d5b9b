package units

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// engines are the programs that take docker's command line.
func isEngine(program string) bool {
	switch path.Base(program) {
	case "docker", "podman", "nerdctl", "deckhand":
		return true
	}
	return false
}

// runCommand finds "run" or "create" in an engine's command line, and what follows. Nothing is returned for other
// commands.
func runCommand(words []word) (run word, rest []word, ok bool) {
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case w.text == "container":
		case w.text == "run" || w.text == "create":
			return w, words[i+1:], true
		case !strings.HasPrefix(w.text, "-"):
			return word{}, nil, false
		case !strings.Contains(w.text, "=") && globalValue(w.text):
			i++
		}
	}
	return word{}, nil, false
}

// globalValue reports whether a flag before the command takes the next word as its value.
func globalValue(flag string) bool {
	switch strings.TrimLeft(flag, "-") {
	case "D", "debug", "remote", "r", "tls", "tlsverify", "noout", "syslog", "trace", "transient-store", "v", "version",
		"insecure-registry", "debug-full", "experimental":
		return false
	}
	return true
}

// commandLine reads what follows "run": flags, the image, and what starts in it.
func (c *container) commandLine(run word, words []word) {
	after := run.at
	after.Line, after.Column = run.at.EndLine, run.at.EndColumn
	c.slot = &guard.Slot{At: after, Before: " --user "}
	rest := c.flags(words, false)
	if len(rest) == 0 {
		return
	}
	c.image = rest[0]
	for _, w := range rest[1:] {
		c.command = append(c.command, w.text)
	}
	if len(rest) > 1 {
		c.startAt = guard.Location{
			Path: rest[1].at.Path, Line: rest[1].at.Line, Column: rest[1].at.Column,
			EndLine: rest[len(rest)-1].at.EndLine, EndColumn: rest[len(rest)-1].at.EndColumn,
		}
	}
}

// flags reads flags up to the first word that is none, or with all every flag there is. It returns what is left.
func (c *container) flags(words []word, all bool) []word {
	known := handlers()
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w.text == "--":
			return words[i+1:]
		case len(w.text) < 2 || w.text[0] != '-':
			if !all {
				return words[i:]
			}
			continue
		}
		name, value, set := flagParts(w)
		if !set && !isSwitch(name) {
			if i++; i == len(words) {
				return nil
			}
			value = words[i]
		}
		if handle := known[name]; handle != nil {
			handle(c, value)
		}
	}
	return nil
}

// flagParts takes a flag apart. set reports whether the value, if it takes one, is in the same word. Of short
// switches before it (-itu0) nothing is to be known.
func flagParts(w word) (name string, value word, set bool) {
	on := w
	on.text = "true"
	if rest, long := strings.CutPrefix(w.text, "--"); long {
		if name, _, set = strings.Cut(rest, "="); set {
			return name, w.from(len("--" + name + "=")), true
		}
		return name, on, false
	}
	for i := 1; i < len(w.text); i++ {
		name = w.text[i : i+1]
		if isSwitch(name) {
			continue
		}
		if i+1 == len(w.text) {
			return name, on, false
		}
		if w.text[i+1] == '=' {
			i++
		}
		return name, w.from(i + 1), true
	}
	return name, on, false
}

// isSwitch reports whether a flag of run takes no value, or only behind an equals sign.
func isSwitch(name string) bool {
	switch name {
	case "d", "i", "t", "P", "q", "h",
		"detach", "interactive", "tty", "publish-all", "quiet", "help", "rm", "rmi", "init", "privileged", "read-only",
		"read-only-tmpfs", "replace", "no-healthcheck", "oom-kill-disable", "no-hosts", "no-hostname", "http-proxy",
		"tls-verify", "sig-proxy", "passwd", "env-host", "unsetenv-all", "disable-content-trust", "rootfs",
		"use-api-socket", "root-user":
		return true
	}
	return false
}

// handlers are what flags mean. Those that are missing give nothing that is asked for.
func handlers() map[string]func(*container, word) {
	namespace := func(name string) func(*container, word) {
		return func(c *container, w word) { c.namespace(name, w) }
	}
	environment, user := (*container).environment, (*container).setUser
	network := namespace("network")
	return map[string]func(*container, word){
		"user": user, "u": user,
		"env": environment, "e": environment,
		"volume": (*container).volume, "v": (*container).volume,
		"publish": (*container).publish, "p": (*container).publish, "expose": (*container).publish,
		"mount": (*container).mount, "device": (*container).device, "entrypoint": (*container).setEntrypoint,
		"security-opt": (*container).security,
		"network":      network, "net": network, "pid": namespace("pid"), "ipc": namespace("ipc"),
		"uts": namespace("uts"), "userns": namespace("user"), "cgroupns": namespace("cgroup"),
		"cap-add":    func(c *container, w word) { c.capabilities(guard.GrantCapability, w) },
		"cap-drop":   func(c *container, w word) { c.capabilities(guard.GrantDropped, w) },
		"sysctl":     func(c *container, w word) { c.grant(guard.GrantSysctl, w.text, w.at) },
		"name":       func(c *container, w word) { c.name = w.text },
		"privileged": func(c *container, w word) { c.when(w, guard.GrantPrivileged) },
		"read-only":  func(c *container, w word) { c.when(w, guard.GrantReadOnlyRoot) },
	}
}

// when is a grant that a switch gives unless its value is false.
func (c *container) when(w word, kind guard.GrantKind) {
	if on, known := boolean(w.text); on || !known {
		c.grant(kind, "true", w.at)
	}
}

// setUser reads USER[:GROUP]. An empty one leaves the image's.
func (c *container) setUser(w word) {
	if w.text == "" {
		c.user = nil
		return
	}
	c.user = &w
	c.slot = nil
	if w.plain {
		c.slot = &guard.Slot{At: w.at}
	}
}
