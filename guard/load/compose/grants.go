package compose

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// grants are what the service gives to its containers.
func (c *container) grants() []guard.Grant {
	var found []guard.Grant
	add := func(kind guard.GrantKind, value string, at guard.Location) {
		found = append(found, guard.Grant{Kind: kind, Value: value, Where: at})
	}
	if c.spec.Privileged {
		add(guard.GrantPrivileged, "true", c.place("privileged"))
	}
	for _, name := range c.spec.CapAdd {
		add(guard.GrantCapability, capability(name), c.item("cap_add", c.text(name)))
	}
	for _, name := range c.spec.CapDrop {
		add(guard.GrantDropped, capability(name), c.item("cap_drop", c.text(name)))
	}
	found = append(found, c.namespaces()...)
	for _, option := range c.spec.SecurityOpt {
		if kind, value := securityOption(option); kind != "" {
			add(kind, value, c.item("security_opt", c.text(option)))
		}
	}
	found = append(found, c.mounts()...)
	found = append(found, c.devices()...)
	for _, name := range slices.Sorted(maps.Keys(c.spec.Sysctls)) {
		at := c.standIn()
		if n, ok := c.entry(name, "sysctls"); ok {
			at = n.Value()
		}
		add(guard.GrantSysctl, name+"="+c.spec.Sysctls[name], at)
	}
	if c.spec.ReadOnly {
		add(guard.GrantReadOnlyRoot, "true", c.place("read_only"))
	}
	return found
}

func capability(name string) string { return strings.TrimPrefix(strings.ToUpper(name), "CAP_") }

// namespaces are those of the host that the service uses.
func (c *container) namespaces() []guard.Grant {
	const host = "host"
	var found []guard.Grant
	for _, n := range []struct{ name, mode, field string }{
		{"pid", c.spec.Pid, "pid"},
		{"ipc", c.spec.Ipc, "ipc"},
		{"uts", c.spec.Uts, "uts"},
		{"user", c.spec.UserNSMode, "userns_mode"},
		{"network", c.spec.NetworkMode, "network_mode"},
		{"cgroup", c.spec.Cgroup, "cgroup"},
	} {
		if n.mode == host {
			found = append(found, guard.Grant{Kind: guard.GrantNamespace, Value: n.name, Where: c.place(n.field)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.spec.Networks)) {
		if c.project.Networks[name].Name == host {
			at := c.standIn()
			if n, ok := c.entry(name, "networks"); ok && n.Kind() == yamltree.Scalar {
				at = n.Value()
			} else if ok {
				at = n.KeyPlace()
			}
			found = append(found, guard.Grant{Kind: guard.GrantNamespace, Value: "network", Where: at})
		}
	}
	return found
}

// securityOption understands an item of security_opt; kind is empty where it gives and takes nothing that we know.
func securityOption(option string) (kind guard.GrantKind, value string) {
	name, setting := option, ""
	if i := strings.IndexAny(option, "=:"); i >= 0 {
		name, setting = option[:i], option[i+1:]
	}
	switch name {
	case "no-new-privileges":
		if setting == "" || setting == "true" {
			return guard.GrantNoEscalation, "true"
		}
		return guard.GrantEscalation, "true"
	case "seccomp", "apparmor", "systempaths":
		if setting == "unconfined" {
			return guard.GrantUnconfined, name
		}
	case "label":
		if setting == "disable" || setting == "type:spc_t" {
			return guard.GrantUnconfined, name
		}
	case "unmask":
		if strings.EqualFold(setting, "all") {
			return guard.GrantUnconfined, "systempaths"
		}
	}
	return "", ""
}

// devices are those of the host.
func (c *container) devices() []guard.Grant {
	var found []guard.Grant
	for _, d := range c.spec.Devices {
		if !strings.HasPrefix(d.Source, "/") {
			continue // of the Container Device Interface, which edits more than devices
		}
		at := c.item("devices", func(n yamltree.Node) bool {
			source, _, _ := strings.Cut(c.file.environment.expand(n.Text()), ":")
			return source == d.Source || c.file.environment.expand(n.Get("source").Text()) == d.Source
		})
		found = append(found, guard.Grant{Kind: guard.GrantDevice, Value: filepath.Clean(d.Source), Where: at})
	}
	for _, rule := range c.spec.DeviceCgroupRules {
		if fields := strings.Fields(rule); len(fields) > 1 && (fields[0] == "a" || fields[1] == "*:*") {
			found = append(found, guard.Grant{Kind: guard.GrantDevice, Value: "all", Where: c.item("device_cgroup_rules", c.text(rule))})
		}
	}
	return found
}

// mounts are the paths of the host, and volumes that stand for one.
func (c *container) mounts() []guard.Grant {
	var found []guard.Grant
	for _, v := range c.spec.Volumes {
		source := v.Source
		if v.Type == types.VolumeTypeVolume {
			source = boundVolume(c.project.Volumes[v.Source])
		} else if v.Type != types.VolumeTypeBind && v.Type != types.VolumeTypeNamedPipe {
			continue
		}
		if source == "" {
			continue
		}
		kind := guard.GrantMount
		if v.ReadOnly {
			kind = guard.GrantReadOnlyMount
		}
		found = append(found, guard.Grant{Kind: kind, Value: c.file.hostPath(source), Where: c.volumePlace(v)})
	}
	if c.spec.UseAPISocket {
		at := c.place("use_api_socket")
		found = append(found, guard.Grant{Kind: guard.GrantMount, Value: "/var/run/docker.sock", Where: at})
	}
	return found
}

// boundVolume is the path that a volume of the local driver binds; empty: none.
func boundVolume(v types.VolumeConfig) string {
	options := strings.Split(v.DriverOpts["o"], ",")
	if cmp.Or(v.Driver, "local") != "local" || !slices.Contains(options, "bind") && !slices.Contains(options, "rbind") {
		return ""
	}
	return v.DriverOpts["device"]
}

// volumePlace is the place of a volume: what names its source in the long syntax, all of it in the short one.
func (c *container) volumePlace(v types.ServiceVolumeConfig) guard.Location {
	expand := c.file.environment.expand
	for _, item := range c.list("volumes") {
		if item.Kind() == yamltree.Mapping {
			if sameTarget(expand(item.Get("target").Text()), v.Target) && item.Get("source").Exists() {
				return item.Get("source").Value()
			}
			continue
		}
		short, err := format.ParseVolume(expand(item.Text()))
		if err == nil && sameTarget(short.Target, v.Target) {
			return item.Value()
		}
	}
	return c.item("volumes", func(yamltree.Node) bool { return false })
}

func sameTarget(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }

// hostPath makes a path absolute where it is known what it is relative to. The project's own files are relative to it,
// as ./data: what they are does not depend on where the project lies. Home directories stay as they are written.
func (f *file) hostPath(path string) string {
	switch {
	case filepath.IsAbs(path):
	case f.dir == "" || strings.HasPrefix(path, "~") || strings.ContainsAny(path, `\:`):
		return path
	default:
		path = filepath.Join(f.dir, path)
	}
	path = filepath.Clean(path)
	if f.dir == "" || systemDirectory(f.dir) {
		return path
	}
	rest, below := strings.CutPrefix(path, f.dir)
	switch {
	case below && rest == "":
		return "."
	case below && rest[0] == '/':
		return "." + rest
	}
	return path
}

// systemDirectory reports whether a directory is more than that of a project, though it may hold a compose file.
func systemDirectory(dir string) bool {
	switch dir {
	case "/", "/boot", "/dev", "/etc", "/home", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/usr", "/usr/local", "/var", "/var/lib":
		return true
	}
	return filepath.Dir(dir) == "/home"
}
