package seccomp

import (
	"sort"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// abi is a way in which programs call the kernel: its own numbers for calls.
type abi struct {
	arch     specs.Arch
	audit    uint32 // AUDIT_ARCH_*
	bit      uint32 // set in every number
	syscalls []syscallNumber
}

// syscallNumber is an entry of an ABI's table.
type syscallNumber struct {
	name   string
	number uint32
}

// numberOf finds a syscall of the running architecture by its kernel name.
func numberOf(name string) (uint32, bool) { return abis[0].number(name) }

// number finds a syscall by its kernel name.
func (a *abi) number(name string) (uint32, bool) {
	i, found := sort.Find(len(a.syscalls), func(i int) int { return strings.Compare(name, a.syscalls[i].name) })
	if !found {
		return 0, false
	}
	return a.syscalls[i].number, true
}
