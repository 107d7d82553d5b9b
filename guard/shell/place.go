package shell

import (
	"slices"
	"strings"
)

// Place is what is known of where a line is run. The zero value knows nothing.
type Place struct {
	Env   func(name string) (value string, set bool) // values of ENV and ARG
	Unset func(name string) bool                     // whether nobody sets the variable; nil: nobody knows
	Dir   string                                     // the working directory; empty: not known
	Shell []string                                   // SHELL, which reads the line; empty: /bin/sh
}

// machine is one that starts there.
func (p Place) machine(l listener) *machine {
	m := newMachine(l, p.Env)
	m.unset, m.now.cwd = p.Unset, p.Dir
	m.name = "/bin/sh"
	if len(p.Shell) > 0 {
		m.name = p.Shell[0]
		m.bash = slices.ContainsFunc(p.Shell, isBash)
	}
	return m
}

// isUnset reports whether the variable is certainly not set: by nobody, and not by shells themselves.
func (m *machine) isUnset(name string) bool {
	if m.unset == nil || !m.unset(name) || strings.HasPrefix(name, "BASH") || strings.HasPrefix(name, "BUILDKIT_") {
		return false
	}
	switch strings.ToUpper(name) {
	case "HOME", "HOSTNAME", "PATH", "PWD", "OLDPWD", "IFS", "PPID", "OPTIND", "OPTARG", "OPTERR", "SHLVL", "_", "PS1", "PS2", "PS4", "TERM",
		"LINENO", "RANDOM", "SRANDOM", "SECONDS", "SHELL", "USER", "LOGNAME", "UID", "EUID", "GROUPS", "HOSTTYPE", "MACHTYPE", "OSTYPE",
		"SHELLOPTS", "DIRSTACK", "PIPESTATUS", "FUNCNAME", "REPLY", "HISTCMD", "EPOCHSECONDS", "EPOCHREALTIME", "MAILCHECK", "COLUMNS",
		"LINES", "FUNCNEST", "SOURCE_DATE_EPOCH", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY":
		return false
	}
	return true
}
