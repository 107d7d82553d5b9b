// Package caps names, parses and sets Linux capabilities.
package caps

import "errors"

// Docker are the 14 capabilities docker grants root.
var Docker = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}

// Resolve applies add and drop (any case, CAP_ optional, ALL) to base and returns sorted full names.
func Resolve(base, add, drop []string) ([]string, error) { return nil, errors.ErrUnsupported }
