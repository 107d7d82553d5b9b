package cgroup

import (
	"os"
	"path/filepath"
	"strings"
)

// LimitsSwap reports whether this machine's cgroups count swap: some kernels are built or booted without.
func LimitsSwap() bool {
	h, err := thisHost()
	if err != nil {
		return false
	}
	if h.isUnified("memory") { // whose top group has no file that would tell
		_, err := os.Stat("/proc/swaps")
		line, _ := os.ReadFile("/proc/cmdline") // without it, the default
		return err == nil && !strings.Contains(string(line), "swapaccount=0")
	}
	m := h.v1Of("memory")
	if m == nil {
		return false
	}
	_, err = os.Stat(filepath.Join(m.dir, "memory.memsw.limit_in_bytes"))
	return err == nil
}
