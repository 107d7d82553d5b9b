package runtime

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// options are the parsed options of a mount (runtime-spec, config.md "Linux mount options").
type options struct {
	bind, recursive  bool
	idmap, recIDMap  bool
	dev, remount     bool
	copyUp           bool
	set, clear       uint64       // MOUNT_ATTR_* of the mount itself
	recSet, recClear uint64       // and of the mounts below it too
	propagation      uint64       // MS_PRIVATE …; 0: not said
	recPropagation   bool         // of the mounts below it too
	super            []stage.Pair // what is the filesystem's and not the mount's: sync …
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
	// Without any of them it is relatime.
	{name: "atime", clear: unix.MOUNT_ATTR__ATIME},
	{name: "norelatime", clear: unix.MOUNT_ATTR__ATIME},
	{name: "nostrictatime", clear: unix.MOUNT_ATTR__ATIME},
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
func parseOptions(words []string) *options {
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
		o.word(w)
	}
	return o
}

// propagations gives the propagation of that name, 0 where there is none.
func propagations(name string) uint64 {
	switch name {
	case "private":
		return unix.MS_PRIVATE
	case "slave":
		return unix.MS_SLAVE
	case "shared":
		return unix.MS_SHARED
	case "unbindable":
		return unix.MS_UNBINDABLE
	}
	return 0
}

func (o *options) word(w string) {
	switch w {
	case "", "defaults", "async", "silent", "loud":
	case "bind":
		o.bind = true
	case "rbind":
		o.bind, o.recursive = true, true
	case "idmap", "ridmap":
		o.idmap, o.recIDMap = true, w == "ridmap"
	case "remount":
		o.remount = true
	case "tmpcopyup":
		o.copyUp = true
	case "sync", "dirsync", "lazytime", "mand", "iversion":
		o.super = append(o.super, stage.Pair{Key: w})
	case "nomand", "nolazytime", "noiversion":
		// New filesystems have none of them, and a mount cannot take them from one that is there.
		o.super = slices.DeleteFunc(o.super, func(p stage.Pair) bool { return p.Key == w[2:] })
	default:
		if p := propagations(strings.TrimPrefix(w, "r")); p != 0 {
			o.propagation, o.recPropagation = p, w[0] == 'r'
			return
		}
		key, value, _ := strings.Cut(w, "=")
		o.data = append(o.data, stage.Pair{Key: key, Value: value})
	}
}
