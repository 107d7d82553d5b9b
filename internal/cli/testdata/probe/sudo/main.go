// Sudo stands in for a sudo that asks nobody: with the setuid bit it starts what follows -n as root.
package main

import (
	"os"
	"syscall"
)

func main() {
	if len(os.Args) < 3 || os.Args[1] != "-n" {
		os.Exit(1)
	}
	if err := syscall.Setuid(0); err != nil {
		os.Exit(1)
	}
	_ = syscall.Exec(os.Args[2], os.Args[2:], os.Environ())
	os.Exit(1)
}
