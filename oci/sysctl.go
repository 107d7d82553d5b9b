package oci

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// PortStart is the sysctl of the first port that a user without CAP_NET_BIND_SERVICE may bind.
const PortStart = "net.ipv4.ip_unprivileged_port_start"

// SysctlError is a kernel parameter that a container cannot have for itself.
type SysctlError struct{ Name, Reason string }

// Error begins with docker's words.
func (e *SysctlError) Error() string {
	return fmt.Sprintf("sysctl '%s' is not allowed: %s", e.Name, e.Reason)
}

// CheckSysctl reports with a *SysctlError why a container may not set name to value: only parameters of
// its own namespaces are its own.
func CheckSysctl(name, value string, hostNetwork bool) error {
	switch file := sysctlFile(name); {
	case file == "" || strings.ContainsFunc(value, control) || value == "":
		return &SysctlError{name, "NAME=VALUE is needed, as net.ipv4.ip_unprivileged_port_start=80"}
	case strings.HasPrefix(file, "net/") && hostNetwork:
		return &SysctlError{name, "it belongs to the host's network, which --network host shares"}
	case strings.HasPrefix(file, "net/"), strings.HasPrefix(file, "fs/mqueue/"), slices.Contains(ipcSysctls(), file):
		return nil
	}
	return &SysctlError{name, "the container has none of its own; it has net.*, fs.mqueue.*, kernel.msg*, kernel.sem and kernel.shm*"}
}

// checkSysctl is CheckSysctl, and refuses what belongs to a namespace that is shared.
func (o SpecOptions) checkSysctl(name, value string) error {
	if err := CheckSysctl(name, value, o.HostNetwork); err != nil {
		return err
	}
	kind, flag := specs.IPCNamespace, "--ipc"
	if strings.HasPrefix(sysctlFile(name), "net/") {
		kind, flag = specs.NetworkNamespace, "--network"
	}
	if o.shares(kind) {
		return &SysctlError{name, "it belongs to a namespace that " + flag + " shares"}
	}
	return nil
}

// ipcSysctls are the parameters of an IPC namespace.
func ipcSysctls() []string {
	return []string{
		"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
		"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
	}
}

// sysctlFile is the parameter's file below /proc/sys, empty where the name would lead elsewhere. As with
// sysctl(8), dots and slashes change places.
func sysctlFile(name string) string {
	file := strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
	if strings.ContainsFunc(name, control) || path.Clean("/"+file) != "/"+file {
		return ""
	}
	return file
}

// control reports a character that has no place in a line of text.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
