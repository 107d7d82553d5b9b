// Package observe is the vocabulary of what a watched container did: its system calls, as they ended.
//
// A Record holds facts and no judgement. Whoever watches (internal/tracer) makes records; guard/harden reads them.
package observe

import (
	"syscall"
)

// Record is what the processes of one container did from the start of its command to the end.
type Record struct {
	// Syscalls counts all calls by name, of all processes and threads, with those that the runtime itself makes
	// between the load of the filter and the command's execve.
	Syscalls map[string]uint64 `json:"syscalls"`
	// Calls are those worth a closer look (paths, sockets, identities, programs, and whatever failed), in the order
	// of their first appearance. Calls that are alike in all but process id and time are one; execve and the
	// set*id family are kept each.
	Calls []Call `json:"calls"`
	// Lost counts calls that could not be read in full: the process was gone, or Calls had reached its limit.
	Lost uint64 `json:"lost,omitempty"`
}

// Call is one system call and its result.
type Call struct {
	Syscall string        `json:"syscall"`         // "openat"
	Errno   syscall.Errno `json:"errno,omitempty"` // 0: it succeeded
	// Filtered says that the seccomp filter refused it: the kernel was not asked.
	Filtered bool `json:"filtered,omitempty"`
	// Path is absolute, in the container's own view, not resolved through symbolic links; empty: it has none.
	Path string `json:"path,omitempty"`
	To   string `json:"to,omitempty"` // the second path of rename, link and symlink
	// Writes says that it asked to change something: an open for writing, mkdir, unlink, rename, chmod, chown, …
	Writes bool `json:"writes,omitempty"`
	// Creates says that Path (or To) would be made.
	Creates bool     `json:"creates,omitempty"`
	Argv    []string `json:"argv,omitempty"` // of execve
	Dir     string   `json:"dir,omitempty"`  // of execve: the working directory, in the container
	ID      int64    `json:"id"`             // of set*id, and the user of chown: -1 is "unchanged"
	Group   int64    `json:"group"`          // the group of chown
	Socket  string   `json:"socket,omitempty"`
	// Address is that of bind and connect: "0.0.0.0:80", "[::]:80", "unix:/run/app.sock", "unix:@name". Socket is
	// "FAMILY/TYPE" of socket, bind and connect: "inet/stream", "unix/dgram", "packet/raw", "netlink/raw".
	Address string   `json:"address,omitempty"`
	Args    [6]int64 `json:"args"` // as they were passed
	Process Process  `json:"process"`
	Count   int      `json:"count"` // how often
}

// Process is who called.
type Process struct {
	PID    int    `json:"pid"` // as the watcher sees it
	Parent int    `json:"parent"`
	Comm   string `json:"comm"`
	Exe    string `json:"exe,omitempty"` // the program's path in the container
	UID    uint32 `json:"uid"`           // in the container
}

// Denied reports whether the call was refused for want of a privilege: EACCES, EPERM or EROFS.
func (c *Call) Denied() bool {
	return c.Errno == syscall.EACCES || c.Errno == syscall.EPERM || c.Errno == syscall.EROFS
}
