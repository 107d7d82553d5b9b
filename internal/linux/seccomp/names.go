package seccomp

// Name is the kernel's name of a syscall of the running architecture; "" where it has no such number, or one
// that is newer than this program.
func Name(number int) string {
	for _, c := range syscalls {
		if int(c.number) == number {
			return c.name
		}
	}
	return ""
}

// Number finds a syscall of the running architecture by its kernel name.
func Number(name string) (number int, ok bool) {
	n, ok := numberOf(name)
	return int(n), ok
}

// Last is the highest syscall number of the running architecture that this program knows.
const Last = lastSyscall
