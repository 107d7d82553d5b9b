package images

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxListed bounds each of the lists: findings name a few of them and count the others.
const maxListed = 1000

// contents walks through the image's files.
func contents(ctx context.Context, img *guard.Image, s *guard.Subject) (*guard.Contents, error) {
	l := newInspection(img, s)
	if err := img.Files.Walk(ctx, l.visit); err != nil {
		return nil, err
	}
	return l.finish(), nil
}

// inspection sorts files into contents.
type inspection struct {
	path    []string // directories of programs
	starts  []string // what the image starts, as far as it is named
	workdir string   // empty: code may be anywhere
	user    guard.User

	setuid, writable []guard.File
	managers, tools  []guard.File
	busybox          map[int64]bool // sizes of busybox and its like: their applets are no tools of their own
}

func newInspection(img *guard.Image, s *guard.Subject) *inspection {
	l := &inspection{path: searchPath(img), user: s.User, busybox: map[int64]bool{}}
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if !slices.Contains(l.path, dir) {
			l.path = append(l.path, dir)
		}
	}
	if dir := path.Join("/", img.Config.Config.WorkingDir); dir != "/" {
		l.workdir = dir
	}
	if len(s.Command.Args) > 0 {
		l.starts = placesOf(img, s.Command.Args[0])
	}
	l.starts = append(l.starts, candidates(scriptsOf(img, s.Command.Args))...)
	return l
}

func (l *inspection) visit(f guard.File) error {
	program := l.isProgram(f)
	if program {
		l.program(f)
	}
	if f.Mode.IsRegular() && isPrivileged(f) {
		l.setuid = appendFew(l.setuid, f)
	}
	if l.isWritable(f) && (program || l.isCode(f)) && f.Mode.Type() != fs.ModeSymlink {
		l.writable = appendFew(l.writable, f)
	}
	return nil
}

func appendFew(list []guard.File, f guard.File) []guard.File {
	if len(list) < maxListed {
		list = append(list, f)
	}
	return list
}

// isProgram reports whether the file is found by its name.
func (l *inspection) isProgram(f guard.File) bool {
	runs := f.Mode.IsRegular() && f.Mode&0o111 != 0 || f.Mode.Type() == fs.ModeSymlink
	return runs && slices.Contains(l.path, path.Dir(f.Path))
}

func (l *inspection) program(f guard.File) {
	name := path.Base(f.Path)
	if isMultiCall(name) && f.Mode.IsRegular() {
		l.busybox[f.Size] = true
	}
	if isMultiCall(path.Base(f.Link)) {
		return
	}
	if isManager(name) {
		l.managers = appendFew(l.managers, f)
	}
	if isTool(name) {
		l.tools = appendFew(l.tools, f)
	}
}

// isMultiCall reports whether a program is many in one, told apart by the name it is called by.
func isMultiCall(name string) bool {
	switch name {
	case "busybox", "busybox.static", "bbsuid", "toybox", "coreutils":
		return true
	}
	return false
}

// isPrivileged reports whether running a file gives rights.
func isPrivileged(f guard.File) bool {
	return f.Capabilities != "" || f.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && f.Mode&0o111 != 0
}

// isWritable reports whether the image's user may change the file, or put another in its place.
func (l *inspection) isWritable(f guard.File) bool {
	if f.Mode&0o002 != 0 && f.Mode&fs.ModeSticky == 0 {
		return true
	}
	u := l.user
	if u.Missing != "" || !u.NotRoot() {
		return false
	}
	return u.UID.Known() && f.UID == u.UID.Least || u.GID.Known() && f.GID == u.GID.Least && f.Mode&0o020 != 0
}

// isCode reports whether what lies in the file is run: what the image starts, directories of programs, scripts and
// libraries below the working directory and, where everybody may write them, anywhere.
func (l *inspection) isCode(f guard.File) bool {
	if f.Mode.IsDir() {
		return slices.Contains(l.path, f.Path)
	}
	if slices.Contains(l.starts, f.Path) {
		return true
	}
	if f.Mode&0o111 == 0 && !isCodeName(f.Path) || isScratch(f.Path) {
		return false
	}
	return l.workdir != "" && strings.HasPrefix(f.Path, l.workdir+"/") || f.Mode&0o002 != 0
}

// isScratch reports whether a path lies where everybody may write by design.
func isScratch(p string) bool {
	for _, dir := range []string{"/tmp/", "/var/tmp/", "/dev/", "/run/", "/var/run/", "/proc/", "/sys/"} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return false
}

func isCodeName(p string) bool {
	switch path.Ext(p) {
	case ".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".php", ".pl", ".pm", ".sh", ".lua", ".jar", ".war", ".class", ".dll",
		".so", ".wasm", ".ex", ".beam", ".clj", ".groovy", ".node":
		return true
	}
	return false
}

// isManager reports whether a program installs others from the distribution's repositories.
func isManager(name string) bool {
	switch name {
	case "apt-get", "apt", "aptitude", "apk", "dnf", "dnf5", "microdnf", "tdnf", "yum", "zypper", "pacman", "emerge",
		"xbps-install", "opkg":
		return true
	}
	return false
}

// isTool reports whether a program is one that an attacker would otherwise have to bring: for scanning, tunnelling,
// sniffing, debugging, guessing passwords, and compilers. What fetches files (curl, wget) and interpreters are not
// among them: services use them.
func isTool(name string) bool {
	switch name {
	case "nmap", "ncat", "nc", "netcat", "socat", "masscan", "zmap", "hping3", "tcpdump", "tshark", "ngrep", "ettercap",
		"dsniff", "gdb", "gdbserver", "strace", "ltrace", "bpftrace", "hydra", "john", "hashcat", "sqlmap", "nikto",
		"msfconsole", "aircrack-ng", "proxychains", "proxychains4", "chisel", "telnet", "gcc", "clang", "tcc":
		return true
	}
	return false
}

// finish puts the lists in order.
func (l *inspection) finish() *guard.Contents {
	c := &guard.Contents{Setuid: byPath(l.setuid), Writable: byPath(l.writable)}
	c.Managers, c.Tools = l.names(l.managers), l.names(l.tools)
	return c
}

// names are the paths of programs that are not busybox by another name.
func (l *inspection) names(files []guard.File) []string {
	var names []string
	for _, f := range byPath(files) {
		if f.Mode.IsRegular() && l.busybox[f.Size] && f.Size > 0 {
			continue
		}
		names = append(names, f.Path)
	}
	return names
}

func byPath(files []guard.File) []guard.File {
	slices.SortFunc(files, func(a, b guard.File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}
