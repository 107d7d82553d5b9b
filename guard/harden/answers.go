package harden

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/repair"
	"github.com/deckhand-engine/deckhand/oci"
)

// answers collects the repairs that answer refusals.
type answers struct {
	s     *session
	c     candidate // what the refusals were met with
	found []repair.Repair
	// asRoot says that the calls are of the run as root: they succeeded, and would be refused.
	asRoot bool
}

// answer proposes repairs for what a candidate was refused, and with them those for what the service did as root and
// will be refused next: so most of it is found in one run.
func (s *session) answer(c candidate, r *observe.Record) []repair.Repair {
	seen := &answers{s: s, c: c}
	for _, asks := range []bool{false, true} { // who only asks may not care for the answer
		for i := range r.Calls {
			if call := &r.Calls[i]; call.Errno != 0 && !call.Filtered && isQuestion(call) == asks {
				seen.refused(call)
			}
		}
		if len(seen.found) > 0 {
			break
		}
	}
	if len(seen.found) == 0 {
		return nil
	}
	next := &answers{s: s, c: c, asRoot: true, found: seen.found}
	for call := range s.allowed() {
		next.succeeded(call)
	}
	return next.proposals()
}

// proposals are what was found, places merged, without what the candidate has.
func (a *answers) proposals() []repair.Repair {
	var places, out []repair.Repair
	for _, r := range a.found {
		if isMount(r) {
			places = append(places, r)
		} else {
			out = append(out, r)
		}
	}
	places = a.s.merged(a.c, places)
	out = slices.DeleteFunc(out, func(r repair.Repair) bool { // the user's own anyway
		return (r.Kind == repair.Mode || r.Kind == repair.Chown) && slices.ContainsFunc(places, func(place repair.Repair) bool {
			return r.Path == place.Path || (place.Recursive || place.Kind == repair.Tmpfs) && isWithin(r.Path, place.Path)
		})
	})
	return slices.DeleteFunc(append(places, out...), func(r repair.Repair) bool {
		return a.c.has(r) || isMount(r) && strings.ContainsFunc(r.Path, func(c rune) bool { return !strconv.IsPrint(c) }) // no profile has it
	})
}

// add notes a repair, and what it is for.
func (a *answers) add(r repair.Repair, c *observe.Call) {
	const most = 4 // refusals are kept for one repair
	i := slices.IndexFunc(a.found, func(have repair.Repair) bool { return same(have, r) })
	if i < 0 {
		r.Why = a.why(r, c)
		a.found = append(a.found, r)
		i = len(a.found) - 1
	}
	if !a.asRoot && len(a.found[i].For) < most {
		a.found[i].For = append(a.found[i].For, *c)
	}
}

// why is what a call was about, in a clause.
func (a *answers) why(r repair.Repair, c *observe.Call) string {
	what := c.Path
	switch {
	case what == "":
		what = c.Address
	case isMount(r): // names of files may be made up
		what = "in " + r.Path
	}
	doing := "reads"
	switch {
	case c.Syscall == "bind":
		doing = "listens on"
	case c.Syscall == "execve" || c.Syscall == "execveat":
		doing = "runs"
	case wantsWrite(c):
		doing = "writes"
	}
	result := "as root"
	if !a.asRoot {
		result = unix.ErrnoName(c.Errno)
	}
	return fmt.Sprintf("%s %s %s (%s, %s)", c.Process.Comm, doing, what, c.Syscall, result)
}

// refused answers one call that failed.
func (a *answers) refused(c *observe.Call) {
	switch {
	case c.Syscall == "bind":
		a.listen(c)
	case c.Errno == syscall.EXDEV:
		a.crossing(c)
	case c.Errno == syscall.ENOENT:
		a.absent(c)
	case !c.Denied() || changesOthers(c):
	case strings.HasPrefix(c.Syscall, "execve") && c.Errno == syscall.EPERM:
		a.fileCapabilities(c)
	case wantsWrite(c):
		a.write(c)
	case c.Errno == syscall.EACCES && c.Path != "":
		a.read(c)
	}
}

// succeeded answers what a call that root was allowed will be refused.
func (a *answers) succeeded(c *observe.Call) {
	switch {
	case changesOthers(c), isQuestion(c):
	case c.Syscall == "bind":
		a.listen(c)
	case wantsWrite(c):
		a.write(c)
	case c.Path != "" && (strings.HasPrefix(c.Syscall, "open") || strings.HasPrefix(c.Syscall, "execve")):
		a.read(c)
	}
}

// isQuestion reports whether a call does nothing but ask what would be allowed.
func isQuestion(c *observe.Call) bool {
	return c.Syscall == "access" || c.Syscall == "faccessat" || c.Syscall == "faccessat2"
}

// changesOthers reports whether a call is the privilege itself, which no place and no owner can give.
func changesOthers(c *observe.Call) bool {
	switch c.Syscall {
	case "chown", "lchown", "fchown", "fchownat", "mount", "umount2", "pivot_root", "chroot", "move_mount", "mknod", "mknodat",
		"setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat":
		return c.Errno != syscall.EROFS && c.Errno != syscall.EACCES
	}
	return false
}

// wantsWrite reports whether a call changes a file, or asks whether it could.
func wantsWrite(c *observe.Call) bool {
	const mayWrite = 2 // W_OK
	switch c.Syscall {
	case "access":
		return c.Args[1]&mayWrite != 0
	case "faccessat", "faccessat2":
		return c.Args[2]&mayWrite != 0
	}
	return c.Writes
}

// listen answers a bind: to a low port, or to a socket in a directory.
func (a *answers) listen(c *observe.Call) {
	if file, ok := strings.CutPrefix(c.Address, "unix:/"); ok {
		if c.Errno == 0 || c.Denied() {
			a.writePath("/"+file, false, c)
		}
		return
	}
	port := portOf(c.Address)
	if port <= 0 || port >= 1024 || c.Errno != 0 && c.Errno != syscall.EACCES {
		return
	}
	for _, r := range slices.Concat(a.found, a.c.repairs) {
		if r.Kind == repair.Port {
			have, _ := strconv.Atoi(strings.TrimPrefix(r.Value, oci.PortStart+"="))
			port = min(port, have)
		}
	}
	a.found = slices.DeleteFunc(a.found, func(r repair.Repair) bool {
		return r.Kind == repair.Port && r.Value != fmt.Sprintf("%s=%d", oci.PortStart, port)
	})
	a.add(repair.Repair{Kind: repair.Port, Value: fmt.Sprintf("%s=%d", oci.PortStart, port)}, c)
}

// portOf is the port of an internet address; 0: it has none.
func portOf(address string) int {
	_, number, err := net.SplitHostPort(address)
	if err != nil || strings.HasPrefix(address, "unix:") {
		return 0
	}
	port, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return port
}

// write answers a call that changes something.
func (a *answers) write(c *observe.Call) {
	if path.IsAbs(c.To) { // of an attribute, it is the name
		a.writePath(c.To, false, c)
	}
	if c.Path == "" || strings.HasPrefix(c.Syscall, "symlink") || strings.HasPrefix(c.Syscall, "link") { // what it leads to stays as it is
		return
	}
	a.writePath(c.Path, strings.HasPrefix(c.Syscall, "mkdir"), c)
}

func (a *answers) writePath(p string, isDir bool, c *observe.Call) {
	resolved := a.s.files.resolve(p, true)
	if home, ok := a.s.homeOf(resolved); ok {
		a.add(repair.Repair{Kind: repair.Environ, Value: "HOME=" + home}, c)
		a.add(a.s.volume(home), c) // root's was kept too
		return
	}
	dir, ok := a.s.place(resolved, isDir)
	if path.Dir(resolved) == "/" && !isDir && !a.asRoot && !a.s.files.isDir(resolved) {
		dir, ok = a.workdir(c)
	}
	if !ok {
		return
	}
	have, covered := a.c.mountOf(resolved)
	switch {
	case !covered:
		a.add(a.s.writable(dir), c)
	case have.Kind == repair.Volume && !have.Recursive && !a.asRoot:
		have.Recursive = true
		a.add(have, c)
	}
}

// workdir answers a file that is written into the root: most likely it was named relative to where the service was
// started. It gets a directory of its own to be started in.
func (a *answers) workdir(c *observe.Call) (string, bool) {
	if a.c.needs(repair.Workdir) || path.Join("/", a.s.image.Config.Config.WorkingDir) != "/" {
		return "", false
	}
	dir := "/var/lib/" + plainName(a.s.o.Name)
	if a.s.files.hasBelow(dir) {
		dir = "/data"
	}
	a.add(repair.Repair{Kind: repair.Workdir, Path: dir}, c)
	return dir, true
}

// homeOf is the home that the service gets instead of root's, where a path is in that.
func (s *session) homeOf(p string) (string, bool) {
	if isWithin(p, "/root") || path.Dir(p) == "/" && strings.HasPrefix(path.Base(p), ".") {
		return "/home/" + s.userName(), true
	}
	return "", false
}

// read answers a call that only reads. What nobody but root should see stays so.
func (a *answers) read(c *observe.Call) {
	p := a.s.files.resolve(c.Path, true)
	if isPassword(p) || pseudo(p) {
		return
	}
	if have, covered := a.c.mountOf(p); covered {
		if have.Kind == repair.Volume && !have.Recursive && !a.asRoot {
			have.Recursive = true
			a.add(have, c)
		}
		return
	}
	if isWithin(p, "/root") {
		a.writePath(p, false, c)
		return
	}
	for _, f := range a.s.files.obstacles(c.Path, a.s.o.UID, a.s.o.GID, strings.HasPrefix(c.Syscall, "execve")) {
		kind := repair.Mode
		if f.Mode.IsRegular() && f.Mode.Perm()&0o111 == 0 {
			kind = repair.Chown // private it stays
		}
		a.add(repair.Repair{Kind: kind, Path: f.Path}, c)
	}
}

// isPassword reports whether a path is where passwords are kept, or a copy of that.
func isPassword(p string) bool {
	for _, name := range []string{"/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-"} {
		if isWithin(p, name) {
			return true
		}
	}
	return false
}

// fileCapabilities answers a program that may not be run since its file brings capabilities along.
func (a *answers) fileCapabilities(c *observe.Call) {
	p := a.s.files.resolve(c.Path, true)
	if f, ok := a.s.files.stat(p); ok && f.Capabilities != "" {
		a.add(repair.Repair{Kind: repair.StripCaps, Path: p}, c)
	}
}

// absent answers a path that is missing: its directory was made as root, or an empty one in memory covers what the
// image has there.
func (a *answers) absent(c *observe.Call) {
	if c.Path == "" {
		return
	}
	p := a.s.files.resolve(c.Path, true)
	if r, ok := a.s.rootMade(path.Dir(p)); ok {
		if _, known := a.c.placeAt(r.Path); !known {
			a.add(r, c)
			return
		}
	}
	if have, ok := a.c.mountOf(p); ok && have.Kind == repair.Tmpfs && p != have.Path {
		a.uncover(p, have.Path, c)
	}
}

// uncover gives back what the image has at a path, of which a place in memory hides at least the directory.
func (a *answers) uncover(p, place string, c *observe.Call) {
	dir := p
	for dir != place && !a.s.files.isDir(dir) {
		dir = path.Dir(dir)
	}
	_, exists := a.s.files.stat(p)
	isFile := exists && !a.s.files.isDir(p)
	switch {
	case isFile && a.s.files.full[dir]: // what is in it is wanted
		a.add(a.s.volume(dir), c)
	case dir != place:
		a.add(repair.Repair{Kind: repair.Tmpfs, Path: dir}, c)
	}
}

// crossing answers a file that cannot be moved since its old and its new place became two mounts.
func (a *answers) crossing(c *observe.Call) {
	if c.Path == "" || c.To == "" {
		return
	}
	from, to := a.s.files.resolve(c.Path, false), a.s.files.resolve(c.To, false)
	dir := path.Dir(from)
	for !isWithin(to, dir) {
		dir = path.Dir(dir)
	}
	if !shared(dir) && !pseudo(dir) {
		a.add(a.s.volume(dir), c)
	}
}
