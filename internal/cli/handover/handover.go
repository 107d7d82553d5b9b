// Package handover makes `deckhand build …` become deckhand-build before the packages of deckhand, which a
// build does not need, initialise: a build whose every step is cached is mostly start-up.
//
// It covers the plain case only: `build` is the first argument, and deckhand-build is beside deckhand. In every
// other case it does nothing, and internal/cli does it all, messages included. For its init function to run
// early, it imports nothing that is initialised late: not even fmt.
package handover

import (
	"os"
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/mountns"
)

func init() {
	if len(os.Args) > 1 && os.Args[1] == "build" {
		become(os.Args[2:])
	}
}

// become returns only if it does not work.
func become(args []string) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for self != "" && self[len(self)-1] != '/' {
		self = self[:len(self)-1]
	}
	path := self + "deckhand-build"
	const executable = 1 // X_OK
	if syscall.Access(path, executable) != nil {
		return
	}
	argv := append([]string{"deckhand-build"}, args...)
	if os.Geteuid() == 0 {
		_ = mountns.Exec(path, argv, os.Environ()) // the long way says why
		return
	}
	_ = syscall.Exec(path, argv, os.Environ()) // the long way says why
}
