package units

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// quadlet reads the files from which podman makes services.
type quadlet struct {
	*unit
	path string
	name string // without its suffix
	home home
	near func(name string) *unit // a file of the same directory; nil: there is none
}

// container is the subject of a .container file.
func (q *quadlet) container(ctx context.Context, env guard.Env) []*guard.Subject {
	const section = "Container"
	c := &container{kind: guard.KindQuadlet, title: "container", name: q.name, where: q.sections[section], home: q.home}
	c.slot = q.newLine(section)
	if a, ok := q.last(section, "ContainerName"); ok {
		c.name = a.value
	}
	q.image(c)
	q.user(c)
	q.keys(c, section)
	if a, ok := q.last(section, "Exec"); ok {
		for _, w := range a.words() {
			c.command = append(c.command, w.text)
		}
		c.startAt = a.all()
	}
	if a, ok := q.last(section, "Entrypoint"); ok {
		c.setEntrypoint(word{text: a.value, at: a.all()})
	}
	c.flags(allWords(q.list(section, "PodmanArgs")), true)
	if a, ok := q.last(section, "Pod"); ok {
		if pod := q.near(a.value); pod != nil {
			(&quadlet{unit: pod, home: q.home}).pod(c)
		}
	}
	if set := c.user; c.slot != nil && set != nil && set.at.Path != q.path {
		c.slot = nil
	}
	return []*guard.Subject{c.subject(ctx, env)}
}

// image finds the image: by name, or by an .image or .build file beside.
func (q *quadlet) image(c *container) {
	a, ok := q.last("Container", "Image")
	if !ok {
		c.noImage = "it names no image"
		if root, ok := q.last("Container", "Rootfs"); ok {
			c.noImage = "it runs what is in " + root.value
			c.image.at = root.all()
		}
		return
	}
	c.image = word{text: a.value, at: a.all()}
	switch filepath.Ext(a.value) {
	case ".image":
		u := q.near(a.value)
		if u == nil {
			c.noImage = a.value + ", which names the image, is not there"
		} else if named, ok := u.last("Image", "Image"); ok {
			c.image.text = named.value
		}
	case ".build":
		c.noImage = "the image is built by " + a.value
		if u := q.near(a.value); u != nil {
			q.built(c, u)
		}
	}
}

// built finds the Dockerfile of a .build file.
func (q *quadlet) built(c *container, u *unit) {
	file, ok := u.last("Build", "File")
	if !ok {
		return
	}
	name := file.value
	dir, ok := u.last("Build", "SetWorkingDirectory")
	if ok && !filepath.IsAbs(name) && dir.value != "unit" && dir.value != "file" && dir.value != "yaml" {
		name = filepath.Join(dir.value, name)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(q.path), name)
	}
	c.build = name
}

// user is User= and Group=.
func (q *quadlet) user(c *container) {
	if a, ok := q.last("Container", "User"); ok {
		c.setUser(word{text: a.value, at: a.all(), plain: true})
		if strings.Contains(a.value, ":") { // USER:GROUP, as podman takes it
			return
		}
	}
	if a, ok := q.last("Container", "Group"); ok {
		c.group = &word{text: a.value, at: a.all()}
	}
}

// keys are those that give or take privileges; they mean what flags of podman do.
func (q *quadlet) keys(c *container, section string) {
	known := handlers()
	for _, k := range [][2]string{
		{"AddCapability", "cap-add"}, {"DropCapability", "cap-drop"}, {"Environment", "env"}, {"Sysctl", "sysctl"},
	} {
		for _, w := range allWords(q.list(section, k[0])) {
			known[k[1]](c, w)
		}
	}
	for _, k := range [][2]string{
		{"Volume", "volume"},
		{"Mount", "mount"},
		{"AddDevice", "device"},
		{"PublishPort", "publish"},
		{"ExposeHostPort", "expose"},
		{"Network", "network"},
	} {
		for _, a := range q.list(section, k[0]) {
			known[k[1]](c, word{text: a.value, at: a.all()})
		}
	}
	for _, k := range [][2]string{{"UserNS", "userns"}, {"ReadOnly", "read-only"}} {
		if a, ok := q.last(section, k[0]); ok {
			known[k[1]](c, word{text: a.value, at: a.all()})
		}
	}
	q.security(c, section)
}

// security are the keys that stand for --security-opt.
func (q *quadlet) security(c *container, section string) {
	if a, ok := q.last(section, "NoNewPrivileges"); ok {
		if on, known := boolean(a.value); known && on {
			c.grant(guard.GrantNoEscalation, "true", a.all())
		} else if known {
			c.grant(guard.GrantEscalation, "true", a.all())
		}
	}
	if at, off := q.yes(section, "SecurityLabelDisable"); off {
		c.grant(guard.GrantUnconfined, "label", at)
	}
	for _, k := range [][2]string{{"SeccompProfile", "seccomp="}, {"AppArmor", "apparmor="}, {"Unmask", "unmask="}} {
		if a, ok := q.last(section, k[0]); ok {
			c.security(word{text: k[1] + a.value, at: a.all()})
		}
	}
}

// pod adds to a container what its pod gives to all.
func (q *quadlet) pod(c *container) {
	q.keys(c, "Pod")
	c.flags(allWords(q.list("Pod", "PodmanArgs")), true)
}

// group is the subject of a .pod or .kube file. It runs nothing by itself: who its containers start as is theirs.
func (q *quadlet) group(section, title, from string) []*guard.Subject {
	c := &container{kind: guard.KindQuadlet, title: title, name: q.name, where: q.sections[section], home: q.home}
	if a, ok := q.last(section, "PodName"); ok {
		c.name = a.value
	}
	q.keys(c, section)
	c.flags(allWords(q.list(section, "PodmanArgs")), true)
	return []*guard.Subject{{
		Kind: c.kind, Name: title + " " + c.name, Where: c.where, Ports: c.ports, Variables: c.variables, Grants: c.grants,
		User: guard.User{From: from, Where: c.where, UID: guard.ID{Least: 1, Most: guard.MaxID}, GID: guard.AnyID()},
	}}
}
