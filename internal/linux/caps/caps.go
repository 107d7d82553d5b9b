// Package caps names Linux capabilities and does sums with them. It sets nothing.
package caps

import (
	"fmt"
	"slices"
	"strings"
)

// names are the capabilities in the order of their numbers (include/uapi/linux/capability.h).
var names = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
	"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
	"CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// Docker are the 14 capabilities docker grants root.
var Docker = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// UnknownError is a name that is not a capability's.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string { return fmt.Sprintf("unknown capability %q", e.Name) }

// All are the names of every capability this program knows, by number. The caller owns the slice.
func All() []string { return slices.Clone(names[:]) }

// Number gives the number of a capability named in any case, with or without CAP_.
func Number(name string) (int, error) {
	full := strings.ToUpper(name)
	if !strings.HasPrefix(full, "CAP_") {
		full = "CAP_" + full
	}
	if n := slices.Index(names[:], full); n >= 0 {
		return n, nil
	}
	return 0, &UnknownError{name}
}

// Mask gives the bit mask of a set of capabilities.
func Mask(set []string) (uint64, error) {
	var mask uint64
	for _, name := range set {
		n, err := Number(name)
		if err != nil {
			return 0, err
		}
		mask |= 1 << n
	}
	return mask, nil
}

// Resolve applies add and drop (any case, CAP_ optional, ALL) to base and returns sorted full names.
// As with docker, "drop ALL, add X" leaves X and "add ALL, drop X" leaves all but X; a name in both
// is dropped.
func Resolve(base, add, drop []string) ([]string, error) {
	mask, err := Mask(base)
	if err != nil {
		return nil, err
	}
	addMask, addAll, err := maskAll(add)
	if err != nil {
		return nil, err
	}
	dropMask, dropAll, err := maskAll(drop)
	if err != nil {
		return nil, err
	}
	if dropAll {
		mask = 0
	}
	if addAll {
		mask = 1<<len(names) - 1
	}
	return list((mask | addMask) &^ dropMask), nil
}

// maskAll is Mask that reports ALL apart.
func maskAll(set []string) (mask uint64, all bool, err error) {
	rest := slices.DeleteFunc(slices.Clone(set), func(s string) bool {
		is := strings.EqualFold(s, "ALL") || strings.EqualFold(s, "CAP_ALL")
		all = all || is
		return is
	})
	mask, err = Mask(rest)
	return mask, all, err
}

// list gives the sorted names of a mask.
func list(mask uint64) []string {
	set := []string{}
	for i, name := range names {
		if mask&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	slices.Sort(set)
	return set
}
