package harden

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// granted are the capabilities that root has in a container by default: what a service needs is among them, since it
// worked with them.
func granted() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
		"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP",
	}
}

// capabilityOf is the capability that decides a call, of those that containers have; empty: none.
func (s *session) capabilityOf(c *observe.Call) string {
	switch c.Syscall {
	case "setuid", "setreuid", "setresuid", "setfsuid":
		return "CAP_SETUID"
	case "setgid", "setregid", "setresgid", "setfsgid", "setgroups":
		return "CAP_SETGID"
	case "chown", "lchown", "fchown", "fchownat":
		return "CAP_CHOWN"
	case "chroot":
		return "CAP_SYS_CHROOT"
	case "mknod", "mknodat":
		return "CAP_MKNOD"
	case "kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal":
		return "CAP_KILL"
	case "setxattr", "lsetxattr", "fsetxattr":
		return "CAP_SETFCAP"
	case "chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat":
		return "CAP_FOWNER"
	case "socket":
		if strings.HasSuffix(c.Socket, "/raw") && !strings.HasPrefix(c.Socket, "netlink") || strings.HasPrefix(c.Socket, "packet") {
			return "CAP_NET_RAW"
		}
		return ""
	case "bind":
		return "CAP_NET_BIND_SERVICE"
	case "capset", "prctl":
		return "CAP_SETPCAP"
	case "sendto", "sendmsg":
		return "CAP_AUDIT_WRITE"
	}
	if c.Errno == syscall.EACCES && c.Path != "" {
		return "CAP_DAC_OVERRIDE"
	}
	return ""
}

// capabilities proposes those that decide what was refused, or what root did that would be.
func (s *session) capabilities(_ context.Context, c candidate, r *observe.Record) ([]repair.Repair, error) {
	var out []repair.Repair
	add := func(call *observe.Call) {
		name := s.capabilityOf(call)
		fresh := repair.Repair{Kind: repair.Capability, Value: name}
		if name == "" || c.has(fresh) {
			return
		}
		i := slices.IndexFunc(out, func(o repair.Repair) bool { return same(o, fresh) })
		if i < 0 {
			fresh.Why = fmt.Sprintf("%s calls %s", call.Process.Comm, call.Syscall)
			out = append(out, fresh)
			i = len(out) - 1
		}
		const most = 4
		if call.Errno != 0 && len(out[i].For) < most {
			out[i].For = append(out[i].For, *call)
		}
	}
	for i := range r.Calls {
		if call := &r.Calls[i]; call.Denied() && call.Errno != syscall.EROFS {
			add(call)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	for i := range s.asRoot.Record.Calls {
		call := &s.asRoot.Record.Calls[i]
		if call.Errno == 0 && (isIdentity(call.Syscall) && call.ID != int64(s.o.UID) || call.Syscall == "chroot") {
			add(call)
		}
	}
	return out, nil
}

// root proposes to be root after all, with all that containers have: what is not needed goes later.
func (s *session) root(_ context.Context, _ candidate, r *observe.Record) ([]repair.Repair, error) {
	why, refused := "the service was not brought to work as another user", denials(r)
	if i := slices.IndexFunc(refused, func(c observe.Call) bool { return isIdentity(c.Syscall) }); i >= 0 {
		refused = refused[i:]
	}
	if len(refused) > 0 {
		why += fmt.Sprintf(": %s was refused %s", refused[0].Process.Comm, refused[0].Syscall)
	}
	out := []repair.Repair{{Kind: repair.Root, Why: why}}
	for _, name := range granted() {
		out = append(out, repair.Repair{Kind: repair.Capability, Value: name, Why: s.usedAsRoot(name)})
	}
	return out, nil
}

// usedAsRoot says what a capability was good for in the run as root.
func (s *session) usedAsRoot(name string) string {
	for i := range s.asRoot.Record.Calls {
		c := &s.asRoot.Record.Calls[i]
		if c.Errno == 0 && s.capabilityOf(c) == name {
			return fmt.Sprintf("%s calls %s", c.Process.Comm, c.Syscall)
		}
	}
	return "root has it"
}

// irreducible says, for each privilege that a candidate keeps, why it has to.
func (s *session) irreducible(c candidate) []string {
	var out []string
	for _, r := range c.repairs {
		what := ""
		switch r.Kind {
		case repair.Capability:
			what = r.Value
			switch r.Value {
			case "CAP_SETUID", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER", "CAP_SETFCAP", "CAP_SETGID":
				what += " (as good as root in the container)"
			}
		case repair.Root:
			what = "uid 0"
		case repair.ReadWrite:
			what = "a writable root"
		default:
			continue
		}
		text := what + ": " + r.Why
		if reason := s.without[r.String()]; reason != "" {
			text += "; without it, " + reason
		}
		out = append(out, text)
	}
	return out
}
