package seccomp

import (
	"sort"
	"strings"
)

// syscallNumber is an entry of the running architecture's table.
type syscallNumber struct {
	name   string
	number uint16
}

// numberOf finds a syscall of the running architecture by its kernel name.
func numberOf(name string) (uint16, bool) {
	i, found := sort.Find(len(syscalls), func(i int) int { return strings.Compare(name, syscalls[i].name) })
	if !found {
		return 0, false
	}
	return syscalls[i].number, true
}
