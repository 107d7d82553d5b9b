package rules

import (
	"path"
	"slices"
	"strings"
)

// isData reports whether services keep in that place what they write, not what they run.
func isData(p string) bool {
	p = path.Clean("/" + p)
	for _, dir := range []string{
		"/tmp", "/run", "/data", "/dev", "/mnt", "/var/lib", "/var/log", "/var/cache", "/var/run", "/var/tmp",
		"/var/spool", "/var/lock", "/var/mail", "/var/backups", "/var/opt",
	} {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return slices.ContainsFunc(strings.Split(p[1:], "/"), dataWord)
}

// dataWord reports whether a path's element says that data lie below it.
func dataWord(element string) bool {
	name := strings.ToLower(strings.TrimPrefix(element, "."))
	switch strings.TrimSuffix(name, "s") {
	case "data", "log", "cache", "tmp", "temp", "upload", "download", "storage", "store", "media", "state", "db",
		"database", "pgdata", "backup", "volume", "session", "spool", "dump", "queue", "npm", "run", "pid":
		return true
	}
	return slices.ContainsFunc([]string{".log", ".pid", ".sock", "_data", "-data", "_home", "-home"}, func(end string) bool {
		return strings.HasSuffix(name, end)
	})
}

// inHome reports whether the path is a home directory or in one, and what it is called below it.
func inHome(p string) (home bool, below string) {
	p = path.Clean(p)
	if strings.HasPrefix(p, "~") || strings.HasPrefix(p, "$HOME") || strings.HasPrefix(p, "${HOME}") {
		_, below, _ = strings.Cut(p, "/")
		return true, below
	}
	rest, ok := strings.CutPrefix(p, "/home/")
	if !ok {
		return p == "/home", ""
	}
	_, below, _ = strings.Cut(rest, "/")
	return true, below
}
