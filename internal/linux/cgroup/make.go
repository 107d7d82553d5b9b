package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Make makes the group at a path (config.json's linux.cgroupsPath) and gives it resources, which may be nil. An
// absolute path is below the mount point of each hierarchy, a relative one below deckhand; groups above are made where
// they are missing. An existing group is taken over unless it has processes, which is ErrNotEmpty.
//
// A resource that this machine or this user cannot have is a *FieldError. A user who may make no groups at all gets one
// with an empty Path unless there are resources. On error nothing is left behind. Else the caller has the container's first
// process born in Dir and by Enter, and closes the group by Remove or Close.
func Make(path string, r *specs.LinuxResources) (*Group, error) {
	h, err := thisHost()
	if err != nil {
		return nil, err
	}
	return h.makeGroup(path, r)
}

func (h *host) makeGroup(path string, r *specs.LinuxResources) (*Group, error) {
	if r == nil {
		r = &specs.LinuxResources{}
	}
	rel, err := place(path)
	if err != nil {
		return nil, err
	}
	list, err := h.settings(r, func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	g, err := h.makeHome(path, rel)
	if forbidden(err) {
		return undelegated(list, r.Devices, err)
	}
	if err != nil {
		return nil, err
	}
	if err := g.free(); err != nil {
		_ = g.Close() // a directory only read from
		return nil, err
	}
	g.fresh = true
	if err := g.set(list, r.Devices); err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	g.fresh = false
	return g, nil
}

// ErrNotEmpty is returned by Make for a group that has processes: it is somebody else's.
var ErrNotEmpty = errors.New("the container's cgroup is not empty")

// free refuses a group that was there and has processes.
func (g *Group) free() error {
	if g.fresh {
		return nil
	}
	pids, err := g.Pids()
	if err == nil && len(pids) > 0 {
		err = fmt.Errorf("%w: %d process(es) found in %s", ErrNotEmpty, len(pids), g.Path)
	}
	return err
}

// place is the path of a container's groups below the mount points.
func place(path string) (string, error) {
	clean := filepath.Clean(path)
	if path == "" || clean == "/" || clean == "." || strings.ContainsAny(path, "\x00\n") || slices.Contains(strings.Split(path, "/"), "..") {
		return "", fmt.Errorf("linux.cgroupsPath %q is not the path of a cgroup", path)
	}
	if filepath.IsAbs(path) {
		return clean, nil
	}
	return filepath.Join("/", parent, clean), nil
}

// undelegated is a group that could not be made: no error where it would have had nothing to do.
func undelegated(list []setting, devices []specs.LinuxDeviceCgroup, err error) (*Group, error) {
	const why = "this user may make no cgroups: none is delegated to the session"
	if len(list) > 0 {
		return nil, &FieldError{Field: list[0].field, Why: why, Err: err}
	}
	if len(devices) > 0 {
		return nil, &FieldError{Field: "devices", Why: why, Err: err}
	}
	return &Group{}, nil
}

// makeHome makes the home at its place, or where this user may.
func (h *host) makeHome(path, rel string) (*Group, error) {
	home, err := h.home()
	if err != nil {
		return nil, err
	}
	g, err := makeGroup(filepath.Join(home.dir, rel))
	if forbidden(err) && h.unified != nil && !filepath.IsAbs(path) {
		for _, base := range delegated(home.dir).inside {
			if g, err = makeGroup(filepath.Join(base, rel)); !forbidden(err) {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return g, h.adopt(g)
}

// adopt completes a group of this host that has been opened.
func (h *host) adopt(g *Group) error {
	g.host = h
	err := g.recall()
	if err == nil && h.unified == nil {
		g.Dir = nil
		_, err = g.join(h, strings.TrimPrefix(g.Path, h.v1Of("freezer").dir), []string{"freezer"})
	}
	if err != nil {
		_ = g.Close() // a directory only read from
	}
	return err
}

// Find finds the group at a path, as Make takes it; fs.ErrNotExist where there is none. The caller closes it.
func Find(path string) (*Group, error) {
	rel, err := place(path)
	if err != nil {
		return nil, err
	}
	if root := unifiedRoot(); root != "" {
		// Without the table of mounts, which a group without members has no use for.
		return find(&host{unified: &hierarchy{dir: root, root: "/"}}, path, rel)
	}
	h, err := thisHost()
	if err != nil {
		return nil, err
	}
	return find(h, path, rel)
}

func find(h *host, path, rel string) (*Group, error) {
	home, err := h.home()
	if err != nil {
		return nil, fmt.Errorf("open cgroup %s: %w", path, fs.ErrNotExist)
	}
	g, err := open(filepath.Join(home.dir, rel))
	if errors.Is(err, fs.ErrNotExist) && h.unified != nil && !filepath.IsAbs(path) {
		for _, base := range delegated(home.dir).all() {
			if g, err = open(filepath.Join(base, rel)); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if h.unified == nil {
		g.host, g.Dir = h, nil
	}
	if err := g.recall(); err != nil {
		_ = g.Close() // a directory only read from
		return nil, err
	}
	return g, nil
}

// hostOf is the group's host.
func (g *Group) hostOf() (*host, error) {
	if g.host == nil {
		h, err := thisHost()
		if err != nil {
			return nil, err
		}
		g.host = h
	}
	return g.host, nil
}

// Update changes resources of a live group: those that are set in r, no others. Where a new one is bound to a
// hierarchy of version 1 that the container is no member of yet, its processes are moved there.
func (g *Group) Update(r *specs.LinuxResources) error {
	h, err := g.hostOf()
	if err != nil {
		return err
	}
	list, err := h.settings(r, func(file string) string {
		b, err := os.ReadFile(filepath.Join(g.Path, file))
		if err != nil {
			return ""
		}
		return string(b)
	})
	if err != nil {
		return err
	}
	if g.Path == "" {
		_, err := undelegated(list, r.Devices, nil)
		return err
	}
	return g.set(list, r.Devices)
}

// set carries settings out.
func (g *Group) set(list []setting, devices []specs.LinuxDeviceCgroup) error {
	h, err := g.hostOf()
	if err != nil {
		return err
	}
	var controllers []string
	for i := range list {
		if list[i].v1 {
			controllers = append(controllers, list[i].controller)
		}
	}
	rules, err := parseDevices(devices)
	if err != nil {
		return err
	}
	if len(rules) > 0 && g.deviceFiles(h) {
		controllers = append(controllers, "devices")
	}
	added, err := g.join(h, g.rel(h), controllers)
	if err != nil {
		return notJoined(list, err)
	}
	if err := g.enable(h, list); err != nil {
		return err
	}
	if err := putAll(list, g.dirOf); err != nil {
		return err
	}
	if err := g.restrict(rules); err != nil {
		return err
	}
	return g.move(added)
}

// notJoined names the field for which a hierarchy was to be joined.
func notJoined(list []setting, err error) error {
	for i := range list {
		if list[i].v1 && forbidden(err) {
			return &FieldError{Field: list[i].field, Why: "this user may make no group of the controller " + list[i].controller, Err: err}
		}
	}
	return err
}

// rel is the group's path below the mount points.
func (g *Group) rel(h *host) string {
	if home, err := h.home(); err == nil {
		if rel, ok := strings.CutPrefix(g.Path, home.dir+"/"); ok {
			return "/" + rel
		}
	}
	return filepath.Join("/", parent, filepath.Base(g.Path))
}

// dirOf is the directory of a setting.
func (g *Group) dirOf(s *setting) string {
	if !s.v1 {
		return g.Path
	}
	return g.memberOf(s.controller).dir
}

// enable has the groups above pass on the controllers that settings of the unified tree need.
func (g *Group) enable(h *host, list []setting) error {
	var have []string
	for i := range list {
		s := &list[i]
		if s.v1 || s.controller == "" {
			continue
		}
		if have == nil {
			var err error
			if have, err = readWords(filepath.Join(g.Path, "cgroup.controllers")); err != nil {
				return fmt.Errorf("find the group's controllers: %w", err)
			}
		}
		if slices.Contains(have, s.controller) {
			continue
		}
		if err := passOn(h.unified.dir, filepath.Dir(g.Path), s); err != nil {
			return err
		}
		have = append(have, s.controller)
	}
	return nil
}

// passOn enables a controller for the groups in dir, from the top down.
func passOn(top, dir string, s *setting) error {
	if len(dir) > len(top) {
		if err := passOn(top, filepath.Dir(dir), s); err != nil {
			return err
		}
	}
	file := filepath.Join(dir, "cgroup.subtree_control")
	have, err := readWords(file)
	if err == nil && slices.Contains(have, s.controller) {
		return nil
	}
	if err == nil {
		err = writeFile(file, "+"+s.controller)
	}
	if err != nil {
		return &FieldError{Field: s.field, Why: "the cgroup controller " + s.controller + " is not passed on by " + dir, Err: err}
	}
	return nil
}
