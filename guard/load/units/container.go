package units

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/overlay"
)

// container is what a Quadlet or a command line says about a container.
type container struct {
	kind  guard.Kind
	title string // what the subject is called, before the container's own name
	name  string
	where guard.Location
	home  home

	image   word
	build   string // the file that the image is built from
	noImage string // why there is no image whose user could be asked for
	user    *word  // nil: the image's
	group   *word  // of a Quadlet
	slot    *guard.Slot
	keepID  *word // keep-id, with its options

	entrypoint, command []string
	startAt             guard.Location
	ports               []guard.Port
	variables           []guard.Variable
	grants              []guard.Grant
}

// home says whose service manager starts something.
type home struct {
	user bool // a user's own
}

func (c *container) grant(kind guard.GrantKind, value string, at guard.Location) {
	c.grants = append(c.grants, guard.Grant{Kind: kind, Value: value, Where: at})
}

// subject asks for the image and puts together what is known.
func (c *container) subject(ctx context.Context, env guard.Env) *guard.Subject {
	img := c.find(ctx, env)
	s := &guard.Subject{
		Kind: c.kind, Name: strings.TrimSpace(c.title + " " + c.name), Where: c.where,
		Image: c.image.text, ImageAt: c.image.at, Build: c.build, UserSlot: c.slot,
		Ports: c.ports, Variables: c.variables, Grants: c.grants,
	}
	s.User = c.runsAs(ctx, img)
	s.Command, s.Drop = img.Start(ctx, s.User, c.entrypoint, c.command)
	start := c.startAt
	if start.Line == 0 {
		start = c.anchor()
	}
	s.Command.Where = start
	if s.Drop != nil {
		s.Drop.Where = start
	}
	return s
}

// anchor is the place that is shown for what nobody says.
func (c *container) anchor() guard.Location {
	if c.image.at.Line > 0 {
		return c.image.at
	}
	return c.where
}

// find looks for the image, unless its name depends on what is not known here.
func (c *container) find(ctx context.Context, env guard.Env) overlay.Image {
	name := c.image.text
	switch {
	case c.noImage != "":
		return overlay.Image{Name: name, Why: c.noImage}
	case specifier(name) != "":
		return overlay.Image{Name: name, Why: "image " + name + " depends on what " + specifier(name) + " stands for"}
	case strings.Contains(name, "$"):
		return overlay.Image{Name: name, Why: "image " + name + " depends on a variable that is set elsewhere"}
	}
	return overlay.Find(ctx, env, name)
}

// runsAs works out the user in the container.
func (c *container) runsAs(ctx context.Context, img overlay.Image) guard.User {
	switch {
	case c.user == nil && c.group != nil:
		return guard.User{Where: c.group.at, Missing: "invalid Group set without User"}
	case c.user == nil && c.keepID != nil:
		if u, ok := c.keptID(); ok {
			return u
		}
		fallthrough
	case c.user == nil:
		u := img.Own(ctx)
		u.Where = c.anchor()
		return u
	}
	spec := c.user.text
	if c.group != nil {
		spec += ":" + c.group.text
	}
	if sign := specifier(spec); sign != "" || strings.Contains(spec, "$") {
		why := spec + " depends on a variable that is set elsewhere"
		if sign != "" {
			why = spec + " depends on what " + sign + " stands for"
		}
		return guard.User{Spec: spec, Where: c.user.at, UID: guard.AnyID(), GID: guard.AnyID(), Unknown: why}
	}
	u := img.Replaced(ctx, spec)
	u.Where = c.user.at
	return u
}

// keptID is the user of --userns=keep-id: the one who starts the container, unless options say another. Of a
// container that the host's root starts, podman leaves the image's user.
func (c *container) keptID() (guard.User, bool) {
	u := guard.User{Where: c.keepID.at, From: "keep-id", UID: guard.ID{Least: 1, Most: guard.MaxID}, GID: guard.AnyID()}
	_, options, _ := strings.Cut(c.keepID.text, ":")
	said := false
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			continue
		}
		switch name {
		case "uid":
			u.UID, u.Spec, said = guard.Exactly(uint32(n)), value, true
		case "gid":
			u.GID, u.GroupSet = guard.Exactly(uint32(n)), true
		}
	}
	return u, said || c.home.user
}

// publish reads [[IP:]HOST:]CONTAINER[/PROTOCOL]: the container's end, and of a range its first port.
func (c *container) publish(w word) {
	text, protocol, _ := strings.Cut(w.text, "/")
	text = text[strings.LastIndexByte(text, ':')+1:]
	text, _, _ = strings.Cut(text, "-")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return
	}
	if protocol == "" {
		protocol = "tcp"
	}
	c.ports = append(c.ports, guard.Port{Number: n, Protocol: protocol, Where: w.at})
}

// environment reads NAME=VALUE; a name alone takes its value from elsewhere.
func (c *container) environment(w word) {
	if name, value, ok := strings.Cut(w.text, "="); ok && name != "" {
		c.variables = append(c.variables, guard.Variable{Name: name, Value: value, Where: w.at})
	}
}

// volume reads SOURCE:TARGET[:OPTIONS]. Named volumes are no part of the host.
func (c *container) volume(w word) {
	source, rest, ok := strings.Cut(w.text, ":")
	if !ok {
		return
	}
	_, options, _ := strings.Cut(rest, ":")
	c.bind(source, slices.Contains(strings.Split(options, ","), "ro"), w.at)
}

// mount reads type=bind,source=…,target=…,ro.
func (c *container) mount(w word) {
	source, bind, readOnly := "", false, false
	for field := range strings.SplitSeq(w.text, ",") {
		name, value, set := strings.Cut(field, "=")
		switch name {
		case "type":
			bind = value == "bind"
		case "source", "src":
			source = value
		case "ro", "readonly":
			on, _ := boolean(value)
			readOnly = !set || on
		}
	}
	if bind {
		c.bind(source, readOnly, w.at)
	}
}

// bind is a path of the host in the container.
func (c *container) bind(source string, readOnly bool, at guard.Location) {
	source = c.home.expand(source)
	if source == "" || strings.IndexByte("/.~$", source[0]) < 0 {
		return
	}
	kind := guard.GrantMount
	if readOnly {
		kind = guard.GrantReadOnlyMount
	}
	c.grant(kind, source, at)
}

// expand replaces the specifiers that stand for well-known directories.
func (h home) expand(p string) string {
	runtime, state, config := "/run", "/var/lib", "/etc"
	if h.user {
		runtime, state, config = "/run/user/UID", "~/.local/state", "~/.config"
	}
	p = strings.NewReplacer("%h", "~", "%t", runtime, "%S", state, "%E", config).Replace(p)
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return p
}

// device reads HOST[:CONTAINER[:RIGHTS]], or a device's name in the Container Device Interface.
func (c *container) device(w word) {
	host, _, _ := strings.Cut(strings.TrimPrefix(w.text, "-"), ":")
	if host != "" {
		c.grant(guard.GrantDevice, host, w.at)
	}
}

// namespace is a namespace that may be the host's.
func (c *container) namespace(name string, w word) {
	switch mode, _, _ := strings.Cut(w.text, ":"); {
	case mode == "host":
		c.grant(guard.GrantNamespace, name, w.at)
	case mode == "keep-id" && name == "user":
		c.keepID = &w
	}
}

// capabilities reads names, separated by commas.
func (c *container) capabilities(kind guard.GrantKind, w word) {
	for name := range strings.SplitSeq(w.text, ",") {
		if name = capability(name); name != "" {
			c.grant(kind, name, w.at)
		}
	}
}

func capability(name string) string {
	return strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(name)), "CAP_")
}

// security reads the value of --security-opt.
func (c *container) security(w word) {
	i := strings.IndexAny(w.text, "=:")
	name, value := w.text, ""
	if i >= 0 {
		name, value = w.text[:i], w.text[i+1:]
	}
	switch name {
	case "no-new-privileges":
		if on, known := boolean(value); value == "" || known && on {
			c.grant(guard.GrantNoEscalation, "true", w.at)
		}
	case "seccomp", "apparmor", "systempaths":
		if value == "unconfined" {
			c.grant(guard.GrantUnconfined, name, w.at)
		}
	case "label":
		if value == "disable" {
			c.grant(guard.GrantUnconfined, name, w.at)
		}
	case "unmask":
		if strings.EqualFold(value, "all") {
			c.grant(guard.GrantUnconfined, "systempaths", w.at)
		}
	}
}

// setEntrypoint reads a program, or a JSON array of it and its arguments.
func (c *container) setEntrypoint(w word) {
	c.entrypoint = []string{w.text}
	c.startAt = w.at
	var list []string
	if json.Unmarshal([]byte(w.text), &list) == nil {
		c.entrypoint = append([]string{}, list...)
	}
	if w.text == "" {
		c.entrypoint = []string{}
	}
}
