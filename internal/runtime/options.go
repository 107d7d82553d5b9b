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
type attribute struct{ set, clear uint64 }

func attributeOf(name string) (attribute, bool) {
	const atime = unix.MOUNT_ATTR__ATIME
	switch name {
	case "ro":
		return attribute{set: unix.MOUNT_ATTR_RDONLY}, true
	case "rw":
		return attribute{clear: unix.MOUNT_ATTR_RDONLY}, true
	case "nosuid":
		return attribute{set: unix.MOUNT_ATTR_NOSUID}, true
	case "suid":
		return attribute{clear: unix.MOUNT_ATTR_NOSUID}, true
	case "nodev":
		return attribute{set: unix.MOUNT_ATTR_NODEV}, true
	case "dev":
		return attribute{clear: unix.MOUNT_ATTR_NODEV}, true
	case "noexec":
		return attribute{set: unix.MOUNT_ATTR_NOEXEC}, true
	case "exec":
		return attribute{clear: unix.MOUNT_ATTR_NOEXEC}, true
	case "nodiratime":
		return attribute{set: unix.MOUNT_ATTR_NODIRATIME}, true
	case "diratime":
		return attribute{clear: unix.MOUNT_ATTR_NODIRATIME}, true
	case "nosymfollow":
		return attribute{set: unix.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "symfollow":
		return attribute{clear: unix.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "relatime":
		return attribute{set: unix.MOUNT_ATTR_RELATIME, clear: atime}, true
	case "noatime":
		return attribute{set: unix.MOUNT_ATTR_NOATIME, clear: atime}, true
	case "strictatime":
		return attribute{set: unix.MOUNT_ATTR_STRICTATIME, clear: atime}, true
	default:
		return attribute{}, false
	}
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
