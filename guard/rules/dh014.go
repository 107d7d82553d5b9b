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
		if use := capabilityUses[name]; use != "" {
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

// capabilityUses is what somebody can do with a capability.
var capabilityUses = map[string]string{
	"ALL":              "do everything that root of the host can, from mounting disks to loading modules",
	"SYS_ADMIN":        "mount file systems and leave the container by several known ways",
	"SYS_PTRACE":       "read and change other processes, those of the host where the pid namespace is shared",
	"SYS_MODULE":       "load code into the host's kernel",
	"SYS_RAWIO":        "reach the host's memory and I/O ports",
	"DAC_READ_SEARCH":  "read files of the host by open_by_handle_at",
	"NET_ADMIN":        "change routes, firewall and interfaces, and reach much kernel code",
	"BPF":              "load programs into the kernel's verifier, where escapes have been found",
	"MAC_ADMIN":        "switch off AppArmor's or SELinux's rules",
	"MAC_OVERRIDE":     "switch off AppArmor's or SELinux's rules",
	"NET_RAW":          "forge packets and listen on the container's network",
	"NET_BIND_SERVICE": "listen on ports below 1024",
	"DAC_OVERRIDE":     "read and write every file of the container",
	"SETUID":           "become every user of the container, root included",
	"MKNOD":            "make device nodes",
	"SYS_TIME":         "set the host's clock",
	"SYS_BOOT":         "restart the host",
	"SYSLOG":           "read the kernel's log and addresses",
	"PERFMON":          "watch what the kernel and other processes do",
}
