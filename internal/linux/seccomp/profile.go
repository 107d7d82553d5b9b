package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Default is Docker's default profile, resolved for the capabilities ("CAP_SYS_CHROOT", …) that the
// container has and for this kernel and architecture. Of the architectures it names only the running
// one is left: 32-bit calls are a second door to the kernel that hardly a program uses. AllowABI opens it.
func Default(capabilities []string) (*specs.LinuxSeccomp, error) {
	p, err := seccomp.GetDefaultProfile(specFor(capabilities))
	if err != nil {
		return nil, fmt.Errorf("make default seccomp profile: %w", err)
	}
	p.Architectures = []specs.Arch{abis[0].arch}
	return p, nil
}

// AllowABI has a profile's rules hold for another ABI of this machine as well: "x86", "x32" or "arm",
// or as profiles write it, "SCMP_ARCH_X86". An error names those there are.
func AllowABI(p *specs.LinuxSeccomp, name string) error {
	var known []string
	for _, a := range abis[1:] {
		short := strings.ToLower(strings.TrimPrefix(string(a.arch), "SCMP_ARCH_"))
		if name != short && name != string(a.arch) {
			known = append(known, short)
			continue
		}
		if !slices.Contains(p.Architectures, a.arch) {
			p.Architectures = append(slices.Clip(p.Architectures), a.arch)
		}
		return nil
	}
	return fmt.Errorf("%q is no other ABI of this machine: there is %s", name, strings.Join(known, " and "))
}

// ParseProfile reads a profile in Docker's JSON format (includes and excludes are resolved for the
// capabilities, this kernel and this architecture) or in the OCI runtime-spec's, of which Docker's
// is a superset. A profile that would switch filtering off without saying so is an error, and so is
// anything that Compile would not take (*ProfileError, or a JSON error with its line).
func ParseProfile(data []byte, capabilities []string) (*specs.LinuxSeccomp, error) {
	var p seccomp.Seccomp
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("parse seccomp profile: %w", positioned(err, data))
	}
	if err := check(&p); err != nil {
		return nil, err
	}
	resolved, err := seccomp.LoadProfile(string(data), specFor(capabilities))
	if err != nil {
		return nil, fmt.Errorf("resolve seccomp profile: %w", err)
	}
	return resolved, nil
}

// specFor carries the capabilities to moby's resolver.
func specFor(capabilities []string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{
		Capabilities: &specs.LinuxCapabilities{Bounding: capabilities},
	}}
}

// check finds faults while the entries still have the places they have in the file, those that do
// not apply here included.
func check(p *seccomp.Seccomp) error {
	if p.DefaultAction == "" {
		return &ProfileError{"defaultAction", "missing"}
	}
	if _, err := returnValue(p.DefaultAction, p.DefaultErrnoRet); err != nil {
		return &ProfileError{"defaultAction", err.Error()}
	}
	if err := checkNotifyDefault(p.DefaultAction); err != nil {
		return err
	}
	if _, err := flagBits(p.Flags); err != nil {
		return err
	}
	if err := checkArchitectures(p.Architectures); err != nil {
		return err
	}
	for i, call := range p.Syscalls {
		if err := checkEntry(i, call, p.ListenerPath); err != nil {
			return err
		}
	}
	return nil
}

func checkEntry(i int, call *seccomp.Syscall, listener string) error {
	if call == nil {
		return &ProfileError{entry(i, nil), "null"}
	}
	old := call.Name //nolint:staticcheck // deprecated, and still to be read
	names := call.Names
	if old != "" && len(names) > 0 {
		return &ProfileError{entry(i, names), "both name and names: use names"}
	}
	if old != "" {
		names = []string{old}
	}
	err := checkCall(call, names)
	if err == nil {
		err = checkNotifyCalls(call.Action, names, listener)
	}
	if err != nil {
		return &ProfileError{entry(i, names), err.Error()}
	}
	return nil
}

func checkCall(call *seccomp.Syscall, names []string) error {
	if len(names) == 0 {
		return errors.New("no names")
	}
	if _, err := returnValue(call.Action, call.ErrnoRet); err != nil {
		return err
	}
	return checkArgs(call.Args)
}

// positioned adds the line to a JSON error.
func positioned(err error, data []byte) error {
	var offset int64
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	default:
		return err
	}
	line := 1
	for _, b := range data[:min(offset, int64(len(data)))] {
		if b == '\n' {
			line++
		}
	}
	return fmt.Errorf("line %d: %w", line, err)
}
