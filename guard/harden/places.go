package harden

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/repair"
)

// shared are directories that hold the files of many: no service gets one of them whole.
func shared(dir string) bool {
	switch dir {
	case "/", "/etc", "/var", "/var/lib", "/opt", "/srv", "/home", "/mnt", "/media", "/boot":
		return true
	}
	for _, code := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		if isWithin(dir, code) && strings.Count(dir, "/") <= 2 {
			return true
		}
	}
	return false
}

// scratch are directories for what need not outlive the service, in which each makes its own: a file of a service
// may need the whole, a directory in it only itself.
func scratch() []string {
	return []string{"/run", "/var/run", "/var/log", "/var/cache", "/var/lock", "/var/spool", "/run/lock"}
}

// temporary are directories for everybody.
func temporary() []string { return []string{"/tmp", "/var/tmp", "/dev/shm"} }

// pseudo reports whether a path is the kernel's, or the runtime's.
func pseudo(p string) bool {
	return isWithin(p, "/proc") || isWithin(p, "/sys") || isWithin(p, "/dev") && !isWithin(p, "/dev/shm")
}

// passes reports whether what a directory holds need not outlive the service.
func passes(dir string) bool {
	if isWithin(dir, "/var/spool") {
		return false
	}
	return slices.ContainsFunc(slices.Concat(scratch(), temporary()), func(d string) bool { return isWithin(dir, d) })
}

// place is the directory that has to be writable so that a path can be made or changed. ok: there is one that a
// service may have.
func (s *session) place(p string, isDir bool) (dir string, ok bool) {
	if pseudo(p) {
		return "", false
	}
	for _, d := range temporary() {
		if isWithin(p, d) {
			return d, true
		}
	}
	if s.files.isDir(p) {
		return p, !shared(p)
	}
	child, made := p, isDir // child is the topmost part that the image lacks; made: it becomes a directory
	parent := path.Dir(p)
	for parent != "/" && !s.files.isDir(parent) {
		child, parent, made = parent, path.Dir(parent), true
	}
	isScratch := slices.Contains(scratch(), parent)
	if made && (shared(parent) || isScratch || s.files.holds[parent]) {
		return child, true // what else the parent holds is none of the service's to change
	}
	return parent, !shared(parent)
}

// writable is the repair that makes a directory writable.
func (s *session) writable(dir string) repair.Repair {
	if slices.Contains(temporary(), dir) {
		return repair.Repair{Kind: repair.Tmpfs, Path: dir, Mode: "1777"}
	}
	if passes(dir) {
		return repair.Repair{Kind: repair.Tmpfs, Path: dir}
	}
	return s.volume(dir)
}

// volume is the repair that makes a directory a kept one.
func (s *session) volume(dir string) repair.Repair {
	r := repair.Repair{Kind: repair.Volume, Path: dir, Missing: !s.files.isDir(dir), Owned: s.files.belongs(dir, s.o.UID, s.o.GID)}
	r.Recursive = !r.Owned && s.files.hasBelow(dir)
	return r
}

// merged drops kept places within others. Many in one directory, those of a candidate counted too, become that: they
// have names that the service makes up.
func (s *session) merged(c candidate, places []repair.Repair) []repair.Repair {
	places = s.gathered(c, places)
	var out []repair.Repair
	for _, r := range places {
		covered := func(o repair.Repair) bool {
			return o.Kind == repair.Volume && o.Path != r.Path && isWithin(r.Path, o.Path)
		}
		twice := func(o repair.Repair) bool { return same(o, r) }
		if (r.Kind != repair.Volume || !slices.ContainsFunc(places, covered)) && !slices.ContainsFunc(out, twice) {
			out = append(out, r)
		}
	}
	return out
}

// gathered has in the place of each directory of a crowd the one that the crowd is in.
func (s *session) gathered(c candidate, places []repair.Repair) []repair.Repair {
	const crowd = 6
	siblings := map[string]int{}
	for _, r := range slices.Concat(places, c.repairs) {
		if isMount(r) && !s.files.isDir(r.Path) {
			siblings[path.Dir(r.Path)]++
		}
	}
	out := slices.Clone(places)
	for i, r := range places {
		if parent := path.Dir(r.Path); siblings[parent] > crowd && !shared(parent) && !s.files.isDir(r.Path) {
			out[i] = s.writable(parent)
			out[i].Why = r.Why
		}
	}
	return out
}
