// Package vfork clones a process that shares memory with its parent until it executes a program.
//
// Package syscall does so too, but not for a child in a new user namespace: it copies the page tables
// instead, and makes the parent wait for the map of ids and for the execve, which is a millisecond at
// each start of a container. Here the child keeps its capabilities through execve as ambient ones, so
// that the map can be written while the new program starts.
//
// The package imports nothing, and is thus initialised before package syscall.
package vfork

import "unsafe"

// Limit is a resource limit.
type Limit struct{ Soft, Hard uint64 }

// FileLimit is the limit on open files (RLIMIT_NOFILE) this process was started with. Package syscall
// raises it for itself; what we execute must have the original.
var FileLimit Limit

func init() {
	if errno := prlimit(rlimitNofile, &FileLimit); errno != 0 {
		FileLimit = Limit{}
	}
}

const rlimitNofile = 7

// prlimit reads a limit of this process.
//
//go:noescape
func prlimit(resource uintptr, old *Limit) (errno uintptr)

// Clone3 calls clone3(2) with CLONE_VM and CLONE_VFORK among the flags of args, a struct clone_args.
// It returns twice: with pid 0 in the child, which runs on the parent's stack, must not return from
// the caller, and may only make raw system calls; and in the parent once the child has executed a
// program or ended.
func Clone3(args unsafe.Pointer, size uintptr) (pid, errno uintptr)
