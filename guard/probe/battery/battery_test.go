package battery

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/need"
)

// filterVariable names the file of a filter: this test's own program loads it and becomes the rest of its arguments.
const filterVariable = "DECKHAND_TEST_FILTER"

// built is the real program.
var built string

func TestMain(m *testing.M) {
	if name := os.Getenv(filterVariable); name != "" {
		fmt.Fprintln(os.Stderr, becomeFiltered(name, os.Args[1:]))
		os.Exit(99)
	}
	dir, err := os.MkdirTemp("", "deckhand-probe-t")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	built = filepath.Join(dir, "deckhand-probe")
	if err == nil {
		build := exec.CommandContext(context.Background(), "go", "build", "-o", built, "../../../cmd/deckhand-probe")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err == nil { // where other users may execute it
		err = copySelf(filepath.Join(dir, "self"))
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare the program:", err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func copySelf(to string) error {
	content, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// becomeFiltered loads the filter of a file and executes a program. It returns only if it cannot.
func becomeFiltered(name string, argv []string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var profile specs.LinuxSeccomp
	if err := json.Unmarshal(content, &profile); err != nil {
		return err
	}
	filter, err := seccomp.Compile(&profile)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // a filter is a thread's
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := os.Unsetenv(filterVariable); err != nil {
		return err
	}
	if err := filter.Load(); err != nil {
		return err
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

// run runs a command of the program and reads its results.
func run(t *testing.T, cmd *exec.Cmd) map[string]probe.Result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, &out, &errs)
	}
	results := map[string]probe.Result{}
	for s := bufio.NewScanner(&out); s.Scan(); {
		var r probe.Result
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		if _, twice := results[r.Probe]; twice {
			t.Errorf("%s is there twice", r.Probe)
		}
		results[r.Probe] = r
	}
	return results
}

func command(t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

// filtered is the program under a filter that has an action for names and another for all else.
func filtered(t *testing.T, names []string, action, otherwise specs.LinuxSeccompAction, arguments ...string) *exec.Cmd {
	t.Helper()
	profile := specs.LinuxSeccomp{DefaultAction: otherwise, Syscalls: []specs.LinuxSyscall{{Names: names, Action: action}}}
	content, err := json.Marshal(profile)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(filepath.Dir(built), "filter")
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, append([]string{filepath.Join(filepath.Dir(built), "self"), built}, arguments...)...)
	cmd.Env = append(os.Environ(), filterVariable+"="+file.Name())
	return cmd
}

// TestEachProbeHasATrial holds the catalogue and the code to each other.
func TestEachProbeHasATrial(t *testing.T) {
	var have, want []string
	for _, family := range families() {
		for _, trial := range family {
			have = append(have, trial.name)
		}
	}
	for _, p := range probe.Probes() {
		want = append(want, p.Name)
	}
	slices.Sort(have)
	slices.Sort(want)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("catalogue (-) and trials (+):\n%s", diff)
	}
	if len(want) < 45 {
		t.Errorf("only %d probes", len(want))
	}
}

func TestCommandLine(t *testing.T) {
	tests := map[string]struct {
		args   []string
		code   int
		output string // begins with
	}{
		"list":           {[]string{"list"}, 0, "setuid-root\nsetuid-other\n"},
		"one":            {[]string{"chroot"}, 0, `{"probe":"chroot","verdict":`},
		"two, in order":  {[]string{"personality", "chroot"}, 0, `{"probe":"personality","verdict":`},
		"command":        {[]string{"--command", "/nowhere/at-all", "write-command"}, 0, `{"probe":"write-command","verdict":"absent","errno":2`},
		"joined":         {[]string{"--command=no-such-program", "write-command"}, 0, `{"probe":"write-command","verdict":"absent","detail":"no-such-program is not in PATH"}`},
		"no command":     {[]string{"write-command"}, 0, `{"probe":"write-command","verdict":"absent","detail":"the image's command is not known"}`},
		"unknown probe":  {[]string{"nmap"}, 2, "deckhand-probe: there is no probe nmap\n"},
		"unknown option": {[]string{"--all"}, 2, "deckhand-probe: unknown option --all\n"},
		"nothing inside": {[]string{"nothing"}, 0, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := command(t, append([]string{built}, tt.args...)...).CombinedOutput()
			code := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != tt.code || !strings.HasPrefix(string(out), tt.output) {
				t.Errorf("exit code %d: %s, want %d: %s", code, out, tt.code, tt.output)
			}
		})
	}
}

// alsoTried are the calls that the program needs and that probes make too, and how the probes' differ.
func alsoTried() map[string]string {
	return map[string]string{
		"openat": "the program opens what everybody may read; filters cannot tell files apart",
		"execve": "the program executes itself; filters cannot tell programs apart",
		"clone":  "the program never asks for namespaces",
	}
}

// TestNeedsAreNotTried holds that what is added to a filter does not change what the battery says of it.
func TestNeedsAreNotTried(t *testing.T) {
	needs, also := probe.Needs(), alsoTried()
	tried := map[string]bool{}
	for _, p := range probe.Probes() {
		for word := range strings.FieldsFuncSeq(p.Syscall, func(r rune) bool {
			return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
		}) {
			tried[word] = true
			if slices.Contains(needs, word) && also[word] == "" {
				t.Errorf("%s is tried by %s (%s) and needed by the program", word, p.Name, p.Syscall)
			}
		}
	}
	for word := range also {
		if !tried[word] || !slices.Contains(needs, word) {
			t.Errorf("%s is not both tried and needed", word)
		}
	}
}

// TestUnderTheLeastFilter runs the whole battery with nothing allowed but what the program needs.
func TestUnderTheLeastFilter(t *testing.T) {
	for _, action := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKillProcess, specs.ActTrap} {
		t.Run(string(action), func(t *testing.T) {
			results := run(t, filtered(t, probe.Needs(), specs.ActAllow, action))
			for _, p := range probe.Probes() {
				r, ok := results[p.Name]
				word, _, _ := strings.Cut(p.Syscall, "(")
				switch {
				case !ok:
					t.Errorf("%s: no result", p.Name)
				case r.Verdict == probe.Failed:
					t.Errorf("%s failed: %s", p.Name, r.Detail)
				case r.Verdict == probe.Allowed && alsoTried()[word] == "":
					t.Errorf("%s is allowed: %+v", p.Name, r)
				case action != specs.ActErrno && r.Verdict == probe.Denied && alsoTried()[word] == "" && r.By != probe.BySeccomp:
					t.Errorf("%s is denied by %q", p.Name, r.By)
				}
			}
		})
	}
}

// TestByFilter tells a filter's refusals from those for want of a capability.
func TestByFilter(t *testing.T) {
	need.Root(t)
	const nobody = 65534
	tests := map[string]struct {
		probe   string
		refuse  []string // by a filter that allows all else
		uid     uint32
		verdict probe.Verdict
		by      probe.By
	}{
		"mount, filtered, root":     {probe: "mount", refuse: []string{"mount"}, verdict: probe.Denied, by: probe.BySeccomp},
		"mount, filtered, nobody":   {probe: "mount", refuse: []string{"mount"}, uid: nobody, verdict: probe.Denied, by: probe.BySeccomp},
		"mount, nobody":             {probe: "mount", refuse: []string{"bpf"}, uid: nobody, verdict: probe.Denied, by: probe.ByCapability},
		"mount, no filter, nobody":  {probe: "mount", uid: nobody, verdict: probe.Denied, by: probe.ByCapability},
		"setuid, filtered":          {probe: "setuid-root", refuse: []string{"setuid"}, uid: nobody, verdict: probe.Denied, by: probe.BySeccomp},
		"setuid":                    {probe: "setuid-root", refuse: []string{"bpf"}, uid: nobody, verdict: probe.Denied, by: probe.ByCapability},
		"sethostname, filtered":     {probe: "sethostname", refuse: []string{"sethostname"}, verdict: probe.Denied, by: probe.BySeccomp},
		"sethostname, cannot tell":  {probe: "sethostname", refuse: []string{"bpf"}, uid: nobody, verdict: probe.Denied},
		"sethostname, no filter":    {probe: "sethostname", uid: nobody, verdict: probe.Denied, by: probe.ByCapability},
		"raw socket, filtered":      {probe: "raw-socket", refuse: []string{"socket"}, uid: nobody, verdict: probe.Denied, by: probe.BySeccomp},
		"raw socket":                {probe: "raw-socket", refuse: []string{"bpf"}, uid: nobody, verdict: probe.Denied, by: probe.ByCapability},
		"rename, one way is left":   {probe: "rename-root-file", refuse: []string{"renameat", "renameat2"}, uid: nobody, verdict: probe.Denied, by: renameBy()},
		"rename, filtered":          {probe: "rename-root-file", refuse: []string{"rename", "renameat", "renameat2"}, uid: nobody, verdict: probe.Denied, by: probe.BySeccomp},
		"program from memory":       {probe: "exec-memfd", refuse: []string{"memfd_create"}, uid: nobody, verdict: probe.Denied, by: probe.BySeccomp},
		"read shadow, a filter too": {probe: "read-shadow", refuse: []string{"bpf"}, uid: nobody, verdict: probe.Denied, by: probe.ByOwner},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, built, tt.probe)
			if tt.refuse != nil {
				cmd = filtered(t, tt.refuse, specs.ActErrno, specs.ActAllow, tt.probe)
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.uid, Gid: tt.uid}, Cloneflags: syscall.CLONE_NEWUTS | syscall.CLONE_NEWNS}
			if tt.uid != 0 {
				cmd.SysProcAttr.Cloneflags = 0
			}
			r := run(t, cmd)[tt.probe]
			if r.Verdict != tt.verdict || r.By != tt.by {
				t.Errorf("%+v, want %s by %q", r, tt.verdict, tt.by)
			}
		})
	}
}

// renameBy is who refuses where renameat is filtered: on an architecture that has rename, not the filter.
func renameBy() probe.By {
	if len(renames("", "")) > 1 {
		return probe.ByOwner
	}
	return probe.BySeccomp
}
