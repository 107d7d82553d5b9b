package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// Ulimit is a resource limit by its name in --ulimit.
type Ulimit struct {
	Name     string // in lower case, as in "ulimit nofile=1024:2048"
	Resource int    // RLIMIT_*
}

// Ulimits are all there are.
func Ulimits() []Ulimit {
	all := make([]Ulimit, 0, len(runtime.Rlimits))
	for _, r := range runtime.Rlimits {
		all = append(all, Ulimit{ulimitName(r.Name), r.Resource})
	}
	return all
}

// UlimitName is a limit's name in --ulimit.
func UlimitName(l specs.POSIXRlimit) string { return ulimitName(l.Type) }

func ulimitName(rlimit string) string { return strings.ToLower(strings.TrimPrefix(rlimit, "RLIMIT_")) }

// RlimitError is a limit above what this process may give.
type RlimitError struct {
	Name       string
	Asked, Max uint64
}

// Error names the flag.
func (e *RlimitError) Error() string {
	return fmt.Sprintf("--ulimit %s: a hard limit of %s is above the %s that deckhand has itself, and raising it needs CAP_SYS_RESOURCE",
		e.Name, limitText(e.Asked), limitText(e.Max))
}

func limitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// checkRlimits refuses what the kernel would.
func checkRlimits(limits []specs.POSIXRlimit) error {
	if len(limits) == 0 {
		return nil
	}
	mayRaise, err := hasCapSysResource()
	if err != nil || mayRaise {
		return err
	}
	for _, l := range limits {
		for _, u := range Ulimits() {
			if u.Name != UlimitName(l) {
				continue
			}
			var have unix.Rlimit
			if err := unix.Getrlimit(u.Resource, &have); err != nil {
				return os.NewSyscallError("getrlimit", err)
			}
			if l.Hard > have.Max {
				return &RlimitError{u.Name, l.Hard, have.Max}
			}
		}
	}
	return nil
}

// hasCapSysResource reports whether this process has that right over the machine, not only over a user namespace.
func hasCapSysResource() (bool, error) {
	if rootless.Inside() {
		return false, nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, os.NewSyscallError("capget", err)
	}
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0, nil
}
