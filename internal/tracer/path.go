package tracer

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// absolute is a path as the container sees it, given as a program passed it. Empty: it is relative to something
// that is no directory. "." and double slashes go; ".." stays, since what it means depends on links.
func (w *watch) absolute(tid, dirfd int, path string) string {
	if strings.HasPrefix(path, "/") {
		return tidy(w.rootOf(tid) + path)
	}
	base := w.directory(tid, dirfd)
	if !strings.HasPrefix(base, "/") {
		return ""
	}
	return tidy(base + "/" + path)
}

// directory is the path of a directory's descriptor or of the working directory.
func (w *watch) directory(tid, dirfd int) string {
	if dirfd == unix.AT_FDCWD {
		path, _ := readLink(tid, "cwd")
		return path
	}
	return w.file(tid, dirfd)
}

// file is the path of an open file; empty where it has none.
func (w *watch) file(tid, fd int) string {
	path, _ := readLink(tid, "fd/"+strconv.Itoa(fd))
	if !strings.HasPrefix(path, "/") { // socket:[1], anon_inode:[eventfd]
		return ""
	}
	return path
}

// rootOf is where a task's "/" is, as long as nobody has called chroot: nowhere else.
func (w *watch) rootOf(tid int) string {
	if !w.rootMoved {
		return ""
	}
	root, _ := readLink(tid, "root")
	return strings.TrimSuffix(root, "/")
}

// tidy drops empty and "." elements.
func tidy(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") && (len(path) == 1 || !strings.HasSuffix(path, "/")) {
		return path
	}
	var b strings.Builder
	for element := range strings.SplitSeq(path, "/") {
		if element != "" && element != "." {
			b.WriteByte('/')
			b.WriteString(element)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}
