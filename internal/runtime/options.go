package runtime

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// options are the parsed options of a mount (runtime-spec, config.md "Linux mount options").
type options struct {
	bind, recursive  bool
	idmap, dev       bool
	set, clear       uint64 // MOUNT_ATTR_* of the mount itself
	recSet, recClear uint64 // and of the mounts below it too
	propagation      uint64 // MS_PRIVATE …; 0: not said
	data             []stage.Pair
}

// attribute is what an option does to MOUNT_ATTR_*; with an r in front it does it to mounts below too.
type attribute struct {
	name       string
	set, clear uint64
}

var attributes = [...]attribute{
	{name: "ro", set: unix.MOUNT_ATTR_RDONLY},
	{name: "rw", clear: unix.MOUNT_ATTR_RDONLY},
	{name: "nosuid", set: unix.MOUNT_ATTR_NOSUID},
	{name: "suid", clear: unix.MOUNT_ATTR_NOSUID},
	{name: "nodev", set: unix.MOUNT_ATTR_NODEV},
	{name: "dev", clear: unix.MOUNT_ATTR_NODEV},
	{name: "noexec", set: unix.MOUNT_ATTR_NOEXEC},
	{name: "exec", clear: unix.MOUNT_ATTR_NOEXEC},
	{name: "nodiratime", set: unix.MOUNT_ATTR_NODIRATIME},
	{name: "diratime", clear: unix.MOUNT_ATTR_NODIRATIME},
	{name: "nosymfollow", set: unix.MOUNT_ATTR_NOSYMFOLLOW},
	{name: "symfollow", clear: unix.MOUNT_ATTR_NOSYMFOLLOW},
	{name: "relatime", set: unix.MOUNT_ATTR_RELATIME, clear: unix.MOUNT_ATTR__ATIME},
	{name: "noatime", set: unix.MOUNT_ATTR_NOATIME, clear: unix.MOUNT_ATTR__ATIME},
	{name: "strictatime", set: unix.MOUNT_ATTR_STRICTATIME, clear: unix.MOUNT_ATTR__ATIME},
}

func attributeOf(name string) (attribute, bool) {
	for _, a := range attributes {
		if a.name == name {
			return a, true
		}
	}
	return attribute{}, false
}

// parseOptions sorts a mount's options; what is neither an attribute nor a word of the specification
// is for the filesystem.
func parseOptions(words []string) (*options, error) {
	o := &options{}
	for _, w := range words {
		if a, ok := attributeOf(w); ok {
			o.set, o.clear = o.set&^a.clear|a.set, o.clear&^a.set|a.clear
			o.dev = w == "dev" || o.dev && w != "nodev"
			continue
		}
		if a, ok := attributeOf(strings.TrimPrefix(w, "r")); ok && strings.HasPrefix(w, "r") {
			o.recSet, o.recClear = o.recSet&^a.clear|a.set, o.recClear&^a.set|a.clear
			o.dev = w == "rdev" || o.dev && w != "rnodev"
			continue
		}
		if err := o.word(w); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *options) word(w string) error {
	switch w {
	case "", "defaults", "async", "silent", "loud":
	case "bind":
		o.bind = true
	case "rbind":
		o.bind, o.recursive = true, true
	case "idmap", "ridmap":
		o.idmap = true
	case "private", "rprivate":
		o.propagation = unix.MS_PRIVATE
	case "slave", "rslave":
		o.propagation = unix.MS_SLAVE
	case "shared", "rshared":
		o.propagation = unix.MS_SHARED
	case "unbindable", "runbindable":
		o.propagation = unix.MS_UNBINDABLE
	case "tmpcopyup", "sync", "mand", "nomand", "iversion", "noiversion", "remount", "dirsync", "lazytime", "nolazytime":
		return &UnsupportedError{"mounts.options " + w}
	default:
		key, value, _ := strings.Cut(w, "=")
		o.data = append(o.data, stage.Pair{Key: key, Value: value})
	}
	return nil
}
