// Package units loads systemd services and podman's Quadlet files: one subject for each service or container, one
// for each container that a service starts by docker's or podman's command line, and one for each other command that
// starts as root although the service does not. Files are read as systemd.syntax(7) says, with every value's place.
//
// The host's passwd is not looked at: a name in User= of a service that is not root is taken for somebody else.
package units

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// Is reports whether a file of this name (base name) with this beginning is a service, a Quadlet, or a drop-in of
// one.
func Is(name string, data []byte) bool {
	switch filepath.Ext(name) {
	case ".service":
		return hasSection(data, "Service")
	case ".container":
		return hasSection(data, "Container")
	case ".pod":
		return hasSection(data, "Pod")
	case ".kube":
		return hasSection(data, "Kube")
	case ".conf":
		return hasSection(data, "Service") || hasSection(data, "Container") || hasSection(data, "Pod") || hasSection(data, "Kube")
	}
	return false
}

// hasSection reports whether a text has the header of a section.
func hasSection(data []byte, name string) bool {
	header := []byte("[" + name + "]")
	for rest := data; ; {
		i := bytes.Index(rest, header)
		if i < 0 {
			return false
		}
		start := rest[:i]
		start = start[bytes.LastIndexByte(start, '\n')+1:]
		end, _, _ := bytes.Cut(rest[i+len(header):], []byte("\n"))
		if len(bytes.Trim(start, blank+"\ufeff")) == 0 && len(bytes.Trim(end, blank)) == 0 {
			return true
		}
		rest = rest[i+len(header):]
	}
}

// Load reads the document into its subjects. The error is a *guard.SyntaxError where a line is to blame.
//
// Drop-ins in NAME.d beside the file count as systemd has them, and so do the .pod, .image and .build files beside a
// .container file. A drop-in that is given by itself is read with the unit it extends, if that is there.
func Load(ctx context.Context, src guard.Source, env guard.Env) ([]*guard.Subject, error) {
	if base, ok := extended(src); ok {
		data, err := readNear(base.File)
		if err == nil {
			base.Data = data
			return Load(ctx, base, env)
		}
	}
	u, err := parse(src.Path, src.Data)
	if err != nil {
		return nil, err
	}
	if err := u.addDropIns(src); err != nil {
		return nil, err
	}
	l := loader{src: src, unit: u, home: home{user: userManager(src)}, name: baseName(src.Path)}
	subjects := l.subjects(ctx, env)
	return subjects, ctx.Err()
}

// loader knows what a file is.
type loader struct {
	src  guard.Source
	unit *unit
	home home
	name string
}

func (l loader) subjects(ctx context.Context, env guard.Env) []*guard.Subject {
	q := &quadlet{unit: l.unit, path: l.src.Path, name: l.name, home: l.home, near: l.near}
	switch {
	case l.unit.has("Container"):
		if dropIn(l.src.Path) && len(l.unit.list("Container", "Image")) == 0 {
			return q.group("Container", "container", "the file that this extends")
		}
		return q.container(ctx, env)
	case l.unit.has("Pod"):
		return q.group("Pod", "pod", "its containers")
	case l.unit.has("Kube"):
		from := "its manifest"
		if a, ok := l.unit.last("Kube", "Yaml"); ok {
			from += " " + a.value
		}
		return q.group("Kube", "kube", from)
	case l.unit.has(section):
		s := &service{unit: l.unit, path: l.src.Path, name: l.name, home: l.home, dropIn: dropIn(l.src.Path)}
		return s.subjects(ctx, env)
	}
	return nil
}

// dropIn reports whether a file extends another.
func dropIn(path string) bool { return filepath.Ext(path) == ".conf" }

// baseName is what a file is called, without its suffix; of a drop-in, what the file that it extends is called.
func baseName(path string) string {
	if path == "-" {
		return "stdin"
	}
	name := filepath.Base(path)
	if dir := filepath.Base(filepath.Dir(path)); dropIn(path) && strings.HasSuffix(dir, ".d") {
		name = strings.TrimSuffix(dir, ".d")
	}
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// userManager reports whether a file is in one of the directories of users' own service managers.
func userManager(src guard.Source) bool {
	path := src.File
	if path == "" {
		path = src.Path
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	dir := filepath.ToSlash(filepath.Dir(path)) + "/"
	for _, part := range []string{
		"/systemd/user/", "/systemd/user.control/", "/systemd/user-generators/",
		"/.config/containers/systemd/", "/containers/systemd/users/",
	} {
		if strings.Contains(dir, part) {
			return true
		}
	}
	return false
}
