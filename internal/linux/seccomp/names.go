package seccomp

// Names are the kernel's names of the running architecture's syscalls, by number; "" where there is none. Those
// that are newer than this program are missing at the end.
func Names() []string {
	names := make([]string, lastSyscall+1)
	for _, c := range abis[0].syscalls {
		names[c.number] = c.name
	}
	return names
}

// Number finds a syscall of the running architecture by its kernel name.
func Number(name string) (number int, ok bool) {
	n, ok := numberOf(name)
	return int(n), ok
}
