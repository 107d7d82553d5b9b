package cli

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// mounts adds -v, --tmpfs and the image's VOLUMEs. The latter need a mount only where the root is
// read-only: elsewhere the container's own layer is as private and as short-lived.
func (o *runOptions) mounts(cfg *engine.Config, imageVolumes map[string]struct{}) error {
	taken := map[string]bool{}
	for _, v := range o.volumes {
		m, err := parseVolume(v)
		if err != nil {
			return err
		}
		if err := take(taken, m.Destination); err != nil {
			return err
		}
		addMount(cfg, m)
	}
	return o.moreMounts(cfg, taken, imageVolumes)
}

// addMount puts a mount of -v where its kind belongs.
func addMount(cfg *engine.Config, m specs.Mount) {
	switch {
	case m.Source == "":
		cfg.Volumes = append(cfg.Volumes, m.Destination)
	case m.Type == typeVolume:
		cfg.Named = append(cfg.Named, engine.NamedVolume{
			Name: m.Source, Path: m.Destination,
			ReadOnly: slices.Contains(m.Options, "ro"), NoCopy: slices.Contains(m.Options, noCopy),
		})
	default:
		cfg.Spec.Mounts = append(cfg.Spec.Mounts, m)
	}
}

// moreMounts adds --tmpfs and VOLUMEs where nothing is mounted yet.
func (o *runOptions) moreMounts(cfg *engine.Config, taken map[string]bool, imageVolumes map[string]struct{}) error {
	for _, t := range o.tmpfs {
		m, err := parseTmpfs(t)
		if err != nil {
			return err
		}
		if err := take(taken, m.Destination); err != nil {
			return err
		}
		cfg.Spec.Mounts = append(cfg.Spec.Mounts, m)
	}
	if !o.readOnly || o.profile != nil { // a profile names its own
		return nil
	}
	for _, v := range slices.Sorted(maps.Keys(imageVolumes)) {
		if p := path.Clean("/" + v); !taken[p] && p != "/" {
			cfg.Volumes = append(cfg.Volumes, p)
		}
	}
	return nil
}

// take notes a mount's place; twice the same is an error, as docker's.
func take(taken map[string]bool, dest string) error {
	if taken[dest] {
		return fmt.Errorf("duplicate mount point: %s", dest)
	}
	taken[dest] = true
	return nil
}

// makeSources makes what -v names and is not there.
func makeSources(mounts []specs.Mount) error {
	for _, m := range mounts {
		if m.Type != typeBind {
			continue
		}
		if err := makeSource(m.Source); err != nil {
			return err
		}
	}
	return nil
}

// makeSource makes a directory where -v names something missing, as docker does.
func makeSource(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // docker's mode
		return fmt.Errorf("make bind mount source: %w", err)
	}
	return nil
}

// The types of mounts that -v makes. The source of a volume is its name; noCopy is an option of it.
const (
	typeBind   = "bind"
	typeVolume = "volume"
	noCopy     = "nocopy"
)

// unwritableNote warns of a mount that the container's user cannot write to, unless it is the system's own.
func unwritableNote(note func(string, ...any)) func(engine.Unwritable) {
	return func(m engine.Unwritable) {
		what, name := "volume "+m.Volume, m.Volume
		if name == "" {
			what, name = m.Dir, m.Dir
		}
		if m.Volume == "" && systemDirectory(m.Dir) {
			return
		}
		note("deckhand: warning: %s belongs to root (%d:%d, mode %04o), and %d:%d cannot write to it; to mend that:  deckhand volume chown %s %d",
			what, m.UID, m.GID, m.Mode, m.User.UID, m.User.GID, hint.Word(name), m.User.UID)
	}
}

// parseVolume reads -v: HOST:CONTAINER[:options], NAME:CONTAINER[:options], or CONTAINER for an anonymous
// volume (no Source).
func parseVolume(v string) (specs.Mount, error) {
	parts := strings.Split(v, ":")
	if slices.Contains(parts, "") {
		return specs.Mount{}, fmt.Errorf("invalid volume specification: '%s': empty section between colons", v)
	}
	switch len(parts) {
	case 1:
		dest, err := mountPoint(v, parts[0])
		return specs.Mount{Destination: dest}, err
	case 2, 3:
	default:
		return specs.Mount{}, fmt.Errorf("invalid volume specification: '%s'", v)
	}
	dest, err := mountPoint(v, parts[1])
	if err != nil {
		return specs.Mount{}, err
	}
	m := specs.Mount{Destination: dest}
	if m.Type, m.Source, err = volumeSource(parts[0]); err != nil {
		return specs.Mount{}, err
	}
	mode := ""
	if len(parts) == 3 {
		mode = parts[2]
	}
	m.Options, err = volumeOptions(v, m.Type, mode)
	return m, err
}

// mountPoint checks a path in the container.
func mountPoint(v, dest string) (string, error) {
	if !path.IsAbs(dest) {
		return "", fmt.Errorf("invalid volume specification: '%s': invalid mount path: '%s' mount path must be absolute", v, dest)
	}
	dest = path.Clean(dest)
	if dest == "/" {
		return "", fmt.Errorf("invalid volume specification: '%s': invalid specification: destination can't be '/'", v)
	}
	return dest, nil
}

// volumeSource is the host's path, as in docker a relative one begins with a dot, or a volume's name.
func volumeSource(s string) (kind, source string, err error) {
	if isPath(s) {
		source, err = filepath.Abs(s)
		return typeBind, source, err
	}
	if err := store.CheckVolumeName(s); err != nil {
		return "", "", hint.With(err, "if a directory of the host is meant:  deckhand run -v ./"+s+":/path …")
	}
	return typeVolume, s, nil
}

// isPath tells a path from a volume's name.
func isPath(s string) bool {
	return filepath.IsAbs(s) || s == "." || s == ".." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}

// volumeOptions turns the third part of -v into mount options.
func volumeOptions(v, kind, mode string) ([]string, error) {
	propagation := "rprivate"
	opts := []string{"rbind", "idmap"}
	if mode == "" {
		return append(opts, propagation), nil
	}
	for m := range strings.SplitSeq(mode, ",") {
		switch m {
		case "ro":
			opts = append(opts, "ro")
		case noCopy:
			if kind == typeVolume {
				opts = append(opts, noCopy)
			}
		case "rw", "z", "Z", "consistent", "cached", "delegated": // without meaning here
		case "rprivate", "private", "rslave", "slave":
			if kind == typeVolume {
				return nil, fmt.Errorf("invalid volume specification: '%s': invalid mode: %s is for directories of the host", v, m)
			}
			propagation = m
		default:
			return nil, fmt.Errorf("invalid volume specification: '%s': invalid mode: %s", v, m)
		}
	}
	return append(opts, propagation), nil
}

// parseTmpfs reads --tmpfs PATH[:options]; the options are tmpfs(5)'s.
func parseTmpfs(t string) (specs.Mount, error) {
	dest, options, _ := strings.Cut(t, ":")
	if !path.IsAbs(dest) || path.Clean(dest) == "/" {
		return specs.Mount{}, fmt.Errorf("invalid tmpfs %q: an absolute path below / is needed", t)
	}
	m := specs.Mount{Destination: path.Clean(dest), Type: "tmpfs", Source: "tmpfs", Options: []string{"noexec", "nosuid", "nodev"}}
	if options == "" {
		return m, nil
	}
	for o := range strings.SplitSeq(options, ",") {
		if !tmpfsOption(o) {
			return specs.Mount{}, fmt.Errorf("invalid tmpfs option %q", o)
		}
		m.Options = slices.DeleteFunc(m.Options, func(have string) bool { return have == "no"+o })
		m.Options = append(m.Options, o)
	}
	return m, nil
}

// tmpfsOption reports whether docker knows the option.
func tmpfsOption(o string) bool {
	name, _, hasValue := strings.Cut(o, "=")
	switch name {
	case "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks":
		return hasValue
	case "exec", "noexec", "suid", "nosuid", "dev", "nodev", "ro", "rw", "atime", "noatime", "diratime",
		"nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime", "async", "sync", "dirsync":
		return !hasValue
	}
	return false
}
