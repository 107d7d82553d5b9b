package harden

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/repair"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
)

// deciding are the capabilities that calls ask for, whatever their arguments.
func deciding() map[string]string {
	out := map[string]string{"chroot": "CAP_SYS_CHROOT", "bind": "CAP_NET_BIND_SERVICE", "sendto": "CAP_AUDIT_WRITE", "sendmsg": "CAP_AUDIT_WRITE"}
	for name, calls := range map[string][]string{
		"CAP_SETUID":  {"setuid", "setreuid", "setresuid", "setfsuid"},
		"CAP_SETGID":  {"setgid", "setregid", "setresgid", "setfsgid", "setgroups"},
		"CAP_CHOWN":   {"chown", "lchown", "fchown", "fchownat"},
		"CAP_MKNOD":   {"mknod", "mknodat"},
		"CAP_KILL":    {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal"},
		"CAP_SETFCAP": {"setxattr", "lsetxattr", "fsetxattr"},
		"CAP_FOWNER":  {"chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat"},
		"CAP_SETPCAP": {"capset", "prctl"},
	} {
		for _, call := range calls {
			out[call] = name
		}
	}
	return out
}

// capabilityOf is the capability that decides a call, of those that containers have; empty: none.
func (s *session) capabilityOf(c *observe.Call) string {
	if name := s.deciding[c.Syscall]; name != "" {
		return name
	}
	switch {
	case c.Syscall == "socket":
		if strings.HasPrefix(c.Socket, "packet") || strings.HasSuffix(c.Socket, "/raw") && !strings.HasPrefix(c.Socket, "netlink") {
			return "CAP_NET_RAW"
		}
	case c.Errno == syscall.EACCES && c.Path != "":
		return "CAP_DAC_OVERRIDE"
	}
	return ""
}

// capabilities proposes those that decide what was refused, and with them those of what root did to become others.
func (s *session) capabilities(_ context.Context, c candidate, r *observe.Record) ([]repair.Repair, error) {
	var out []repair.Repair
	for i := range r.Calls {
		if call := &r.Calls[i]; call.Denied() && call.Errno != syscall.EROFS {
			out = s.granting(out, c, call)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	for call := range s.allowed() {
		if isIdentity(call.Syscall) && call.ID != int64(s.o.UID) || call.Syscall == "chroot" {
			out = s.granting(out, c, call)
		}
	}
	return out, nil
}

// granting adds the capability that decides a call, or the call to what that is for.
func (s *session) granting(out []repair.Repair, c candidate, call *observe.Call) []repair.Repair {
	const most = 4 // calls are kept
	r := repair.Repair{Kind: repair.Capability, Value: s.capabilityOf(call)}
	if r.Value == "" || c.has(r) {
		return out
	}
	i := slices.IndexFunc(out, func(o repair.Repair) bool { return same(o, r) })
	if i < 0 {
		r.Why = fmt.Sprintf("%s calls %s", call.Process.Comm, call.Syscall)
		out = append(out, r)
		i = len(out) - 1
	}
	if call.Errno != 0 && len(out[i].For) < most {
		out[i].For = append(out[i].For, *call)
	}
	return out
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
	for _, name := range caps.Docker { // it worked with them
		out = append(out, repair.Repair{Kind: repair.Capability, Value: name, Why: s.usedAsRoot(name)})
	}
	return out, nil
}

// writableRoot is a root file system that can be written to by root.
func writableRoot() repair.Repair {
	return repair.Repair{Kind: repair.ReadWrite, Why: "root writes all over the image"}
}

// rootWriting proposes what a container has by default: the service worked like that.
func (s *session) rootWriting(ctx context.Context, c candidate, r *observe.Record) ([]repair.Repair, error) {
	out, err := s.root(ctx, c, r)
	return append(out, writableRoot()), err
}

// usedAsRoot says what a capability was good for in the run as root.
func (s *session) usedAsRoot(name string) string {
	for c := range s.allowed() {
		if s.capabilityOf(c) == name {
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
