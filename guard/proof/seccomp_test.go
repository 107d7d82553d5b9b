package proof_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// TestSeccompProfile has the engine's own reader and compiler judge the filter.
func TestSeccompProfile(t *testing.T) {
	content, err := proof.SeccompProfile([]string{"write", "execve", "arch_prctl", "read", "write"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := seccomp.ParseProfile(content, nil)
	if err != nil {
		t.Fatal(err)
	}
	enosys := uint(unix.ENOSYS)
	want := &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: &enosys,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchAARCH64},
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"arch_prctl", "execve", "read", "write"}, Action: specs.ActAllow}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the engine reads (-want +got):\n%s", diff)
	}
	program, err := seccomp.Compile(got)
	if err != nil {
		t.Fatal(err)
	}
	if program.NoExec {
		t.Error("nothing can be started under it")
	}
}

// TestSeccompProfileOfAll asks for everything that there is, and gets what Docker's default profile allows: the same
// names with the same arguments.
func TestSeccompProfileOfAll(t *testing.T) {
	all := slices.DeleteFunc(seccomp.Names(), func(name string) bool { return name == "" })
	for name, capabilities := range map[string][]string{"none": nil, "some": {"CAP_SYS_CHROOT", "CAP_SYS_ADMIN"}} {
		t.Run(name, func(t *testing.T) {
			content, err := proof.SeccompProfile(all, capabilities)
			if err != nil {
				t.Fatal(err)
			}
			got, err := seccomp.ParseProfile(content, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := seccomp.Compile(got); err != nil {
				t.Fatal(err)
			}
			want, err := seccomp.Default(capabilities)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(conditions(want, all), conditions(got, all)); diff != "" {
				t.Error(diff)
			}
			if got := proof.Permitted(all, capabilities); len(got) != len(conditions(want, all)) {
				t.Errorf("%d are permitted, not %d", len(got), len(conditions(want, all)))
			}
		})
	}
}

// conditions are the arguments with which a filter allows each of the names.
func conditions(filter *specs.LinuxSeccomp, names []string) map[string][][]specs.LinuxSeccompArg {
	out := map[string][][]specs.LinuxSeccompArg{}
	for _, rule := range filter.Syscalls {
		for _, name := range rule.Names {
			if rule.Action == specs.ActAllow && slices.Contains(names, name) {
				out[name] = append(out[name], rule.Args)
			}
		}
	}
	return out
}

func TestSeccompProfileRefuses(t *testing.T) {
	for want, names := range map[string][]string{
		"make seccomp profile: no system call is allowed, nothing could be started": nil,
		`make seccomp profile: "" is no system call's name`:                         {"read", ""},
		`make seccomp profile: "a\"b" is no system call's name`:                     {`a"b`},
	} {
		if _, err := proof.SeccompProfile(names, nil); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestRuncFilter: it allows what the other one does and what runc needs, in a rule of its own. All names are known.
func TestRuncFilter(t *testing.T) {
	for name, escalates := range map[string]bool{"no_new_privs": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			p := sample()
			p.Profile.Escalates = escalates
			all := files(t, p)
			got, err := seccomp.ParseProfile(all[proof.RuncName], nil)
			if err != nil {
				t.Fatal(err)
			}
			last := len(got.Syscalls) - 1
			var own []string
			for _, rule := range got.Syscalls[:last] {
				own = append(own, rule.Names...)
			}
			slices.Sort(own)
			if diff := cmp.Diff(p.Syscalls, own); diff != "" {
				t.Errorf("of the service (-want +got):\n%s", diff)
			}
			more := got.Syscalls[last].Names
			if slices.Contains(more, "setuid") != escalates || !slices.Contains(more, "getdents64") || slices.Contains(more, "read") {
				t.Errorf("runc needs %q", more)
			}
			for _, name := range more {
				if _, ok := seccomp.Number(name); !ok {
					t.Errorf("%s is no system call", name)
				}
			}
		})
	}
}

// TestProfileIsObeyed has the reader of `deckhand run --profile` judge what was written.
func TestProfileIsObeyed(t *testing.T) {
	for name, p := range map[string]*proof.Proof{"redis": sample(), "cron": irreducible(), "hostile": hostile()} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "proof")
			if err := proof.Write(dir, p); err != nil {
				t.Fatal(err)
			}
			got, err := profile.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			want := p.Profile
			want.Seccomp = ""
			if len(p.Syscalls) > 0 {
				want.Seccomp = proof.SeccompName
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Error(diff)
			}
			filter, err := got.Filter(dir)
			if err != nil || (filter == nil) != (len(p.Syscalls) == 0) {
				t.Errorf("filter %v, %v", filter, err)
			}
			for _, name := range []string{proof.SeccompName, proof.RuncName} {
				if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) != (len(p.Syscalls) == 0) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}
