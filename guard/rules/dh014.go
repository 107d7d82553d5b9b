package rules

import (
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func addedCapability() Rule {
	return Rule{
		ID: "DH014", Name: "added-capability", Severity: guard.Warning, Check: checkAddedCapability,
		Title: "A capability is added to what the engine gives",
	}
}

func checkAddedCapability(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.GrantsOf(guard.GrantCapability) {
		name := strings.TrimPrefix(strings.ToUpper(g.Value), "CAP_")
		f := guard.Finding{
			Severity: capabilitySeverity(name, s.User),
			Message:  "gets the capability " + short(name),
			Where:    g.Where,
		}
		if use := capabilityUse(name); use != "" {
			f.Message += ": it can " + use
		}
		switch {
		case s.User.NotRoot() && (s.Kind == guard.KindCompose || s.Kind == guard.KindKubernetes):
			f.Detail = "docker and Kubernetes give it to root only; deckhand and podman give it to this user as well"
		case f.Severity == guard.Info:
			f.Detail = "root of a container has it unless it is dropped"
		}
		found = append(found, f)
	}
	return found
}

// capabilitySeverity says how far a capability leads. What engines give root anyway adds nothing for root.
func capabilitySeverity(name string, user guard.User) guard.Severity {
	switch name {
	case "ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "NET_ADMIN", "BPF",
		"MAC_ADMIN", "MAC_OVERRIDE":
		return guard.Error
	case "NET_BIND_SERVICE":
		return guard.Info
	case "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "SYS_CHROOT", "KILL":
		if !user.NotRoot() {
			return guard.Info
		}
	}
	return guard.Warning
}

// capabilityUse is what somebody can do with a capability.
func capabilityUse(name string) string {
	switch name {
	case "ALL":
		return "do everything that root of the host can, from mounting disks to loading modules"
	case "SYS_ADMIN":
		return "mount file systems and leave the container by several known ways"
	case "SYS_PTRACE":
		return "read and change other processes, those of the host where the pid namespace is shared"
	case "SYS_MODULE":
		return "load code into the host's kernel"
	case "SYS_RAWIO":
		return "reach the host's memory and I/O ports"
	case "DAC_READ_SEARCH":
		return "read files of the host by open_by_handle_at"
	case "NET_ADMIN":
		return "change routes, firewall and interfaces, and reach much kernel code"
	case "BPF":
		return "load programs into the kernel's verifier, where escapes have been found"
	case "MAC_ADMIN", "MAC_OVERRIDE":
		return "switch off AppArmor's or SELinux's rules"
	case "NET_RAW":
		return "forge packets and listen on the container's network"
	case "NET_BIND_SERVICE":
		return "listen on ports below 1024"
	case "DAC_OVERRIDE":
		return "read and write every file of the container"
	case "SETUID":
		return "become every user of the container, root included"
	case "MKNOD":
		return "make device nodes"
	case "SYS_TIME":
		return "set the host's clock"
	case "SYS_BOOT":
		return "restart the host"
	case "SYSLOG":
		return "read the kernel's log and addresses"
	case "PERFMON":
		return "watch what the kernel and other processes do"
	}
	return ""
}
