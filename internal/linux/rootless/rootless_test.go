package rootless

import (
	"bytes"
	"encoding/json"
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
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// childMode in the environment makes the test binary a program that calls Enter.
const childMode = "ROOTLESS_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		os.Exit(child(mode))
	}
	os.Exit(m.Run())
}

// report is what a child finds inside.
type report struct {
	PID, PPID, UID, EUID int
	Inside, SingleID     bool
	IDCount              uint32
	Args                 []string
	Dir, Comm, UIDMap    string
	OpenFiles            []string
	MountNS              string
	CapEff               string
}

func child(mode string) int {
	if mode == "nnp" && os.Geteuid() != 0 {
		runtime.LockOSThread() // it is the thread's
		_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if err := Enter(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 125
	}
	switch mode {
	case "exit7":
		return 7
	case "sleep":
		_, _ = os.Stdout.WriteString("ready\n")
		time.Sleep(time.Minute)
	case "stdin":
		_, _ = os.Stdout.ReadFrom(os.Stdin)
	case "work":
		return work()
	case "forbidden":
		return forbidden()
	default:
		_ = json.NewEncoder(os.Stdout).Encode(look())
	}
	return 0
}

func look() report {
	r := report{PID: os.Getpid(), PPID: os.Getppid(), UID: os.Getuid(), EUID: os.Geteuid(), Inside: Inside(), SingleID: SingleID(), IDCount: IDCount(), Args: os.Args[1:]}
	r.Dir, _ = os.Getwd()
	comm, _ := os.ReadFile("/proc/self/comm")
	r.Comm = strings.TrimSpace(string(comm))
	m, _ := os.ReadFile("/proc/self/uid_map")
	r.UIDMap = strings.Join(strings.Fields(string(m)), " ")
	r.MountNS, _ = os.Readlink("/proc/self/ns/mnt")
	for fd := 3; fd < 64; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			r.OpenFiles = append(r.OpenFiles, fmt.Sprint(fd))
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "CapEff:\t"); ok {
			r.CapEff = strings.TrimSpace(v)
		}
	}
	return r
}

// work does what only root of the namespace may: mount, and give files away.
func work() int {
	dir := os.Args[1]
	err := unix.Mount("deckhand-test", dir, "tmpfs", 0, "")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "x"), nil, 0o600)
	}
	if err == nil {
		err = unix.Unmount(dir, 0)
	}
	file := filepath.Join(dir, "given")
	if err == nil {
		err = os.WriteFile(file, nil, 0o600)
	}
	if err == nil {
		err = os.Chown(file, 5, 7)
	}
	if err == nil { // left mounted: it has to go with the namespace
		err = unix.Mount("deckhand-test", dir, "tmpfs", 0, "")
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// forbidden switches user namespaces off in this one, and lets an ordinary user of it try.
func forbidden() int {
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childMode+"=look")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1, Gid: 1}}
	out, err := cmd.CombinedOutput()
	_, _ = os.Stderr.Write(out)
	if err == nil {
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// person is a temporary user of the machine who can run the test binary.
type person struct {
	name     string
	uid, gid uint32
	exe, dir string
}

// newPerson makes a user with the given subordinate ranges ("100-200").
func newPerson(t *testing.T, subIDs ...string) person {
	t.Helper()
	need.Root(t)
	need.Program(t, "useradd", "userdel", "usermod", "newuidmap", "newgidmap")
	p := person{name: fmt.Sprintf("dhrootless%d", os.Getpid())}
	run := func(args ...string) {
		t.Helper()
		if out, err := retryLocked(args); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	run("useradd", "--system", "--no-create-home", "--user-group", p.name)
	t.Cleanup(func() {
		if out, err := retryLocked([]string{"userdel", p.name}); err != nil {
			t.Errorf("userdel: %v\n%s", err, out)
		}
	})
	for _, r := range subIDs {
		run("usermod", "--add-subuids", r, "--add-subgids", r, p.name)
	}
	out, err := exec.CommandContext(t.Context(), "getent", "passwd", p.name).Output()
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Split(string(out), ":")
	if _, err := fmt.Sscan(f[2]+" "+f[3], &p.uid, &p.gid); err != nil {
		t.Fatal(err)
	}
	p.dir, p.exe = publicCopy(t, p)
	return p
}

// retryLocked runs a program that locks /etc/passwd, which other tests may hold.
func retryLocked(args []string) (out []byte, err error) {
	for range 50 {
		out, err = exec.Command(args[0], args[1:]...).CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("cannot lock")) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return out, err
}

// publicCopy puts the test binary where the person can execute it, beside a directory of his own.
func publicCopy(t *testing.T, p person) (dir, exe string) {
	t.Helper()
	base := t.TempDir()
	for _, d := range []string{base, filepath.Dir(base)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe, dir = filepath.Join(base, "rootless.test"), filepath.Join(base, "own")
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, int(p.uid), int(p.gid)); err != nil {
		t.Fatal(err)
	}
	return dir, exe
}

func (p person) command(t *testing.T, mode string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), p.exe, args...)
	cmd.Env = []string{childMode + "=" + mode, "PATH=/usr/bin:/bin"}
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.uid, Gid: p.gid}}
	return cmd
}

// look runs the reporting child and returns what it and its standard error say.
func (p person) look(t *testing.T, mode string, args ...string) (report, string) {
	t.Helper()
	cmd := p.command(t, mode, args...)
	var out, notes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &notes
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, notes.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if r.PID != cmd.Process.Pid || r.PPID != os.Getpid() {
		t.Errorf("runs as %d of %d, was started as %d of %d", r.PID, r.PPID, cmd.Process.Pid, os.Getpid())
	}
	return r, notes.String()
}

func TestEnter(t *testing.T) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		subIDs []string
		mode   string
		want   report
		uidMap string // UIDMap with UID for the person's
		note   string
	}{
		"one range":   {subIDs: []string{"1000000-1065535"}, mode: "look", want: report{IDCount: 65537}, uidMap: "0 UID 1 1 1000000 65536"},
		"two ranges":  {subIDs: []string{"1000000-1000009", "2000000-2000019"}, mode: "look", want: report{IDCount: 31}, uidMap: "0 UID 1 1 1000000 10 11 2000000 20"},
		"no range":    {mode: "look", want: report{IDCount: 1, SingleID: true}, uidMap: "0 UID 1", note: "there is no range of ids for you in /etc/subuid\n  fix:  sudo usermod --add-subuids "},
		"no new priv": {subIDs: []string{"1000000-1065535"}, mode: "nnp", want: report{IDCount: 1, SingleID: true}, uidMap: "0 UID 1", note: "fix:  run deckhand where no_new_privs is not set"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t, tt.subIDs...)
			got, note := p.look(t, tt.mode, "an argument", "")
			if tt.note == "" && note != "" || !strings.Contains(note, tt.note) {
				t.Errorf("noted %q, want %q", note, tt.note)
			}
			if strings.Count(note, "note:") > 1 {
				t.Errorf("noted more than once: %q", note)
			}
			if got.MountNS == own {
				t.Error("shares the mount namespace")
			}
			if len(strings.TrimLeft(got.CapEff, "0")) < 10 {
				t.Errorf("has capabilities %s only", got.CapEff)
			}
			want := tt.want
			want.OpenFiles = look().OpenFiles // what this test inherited
			want.Inside, want.Args, want.Dir, want.Comm = true, []string{"an argument", ""}, p.dir, "rootless.test"
			want.UIDMap = strings.ReplaceAll(tt.uidMap, "UID", fmt.Sprint(p.uid))
			got.PID, got.PPID, got.MountNS, got.CapEff = 0, 0, "", ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEnterAsRootIsNothing(t *testing.T) {
	need.Root(t)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), childMode+"=look")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if r.Inside || r.SingleID || r.IDCount != allIDs {
		t.Errorf("got %+v", r)
	}
}

func TestInsideOneCanWork(t *testing.T) {
	p := newPerson(t, "1000000-1065535")
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := p.command(t, "work", p.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(p.dir, "given"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != 1000004 || st.Gid != 1000006 {
		t.Errorf("the file belongs to %d:%d", st.Uid, st.Gid)
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(after, []byte(p.dir)) && !bytes.Contains(before, []byte(p.dir)) {
		t.Error("a mount shows on the host")
	}
}

func TestExitStatusAndStreams(t *testing.T) {
	p := newPerson(t, "1000000-1065535")
	t.Run("code", func(t *testing.T) {
		cmd := p.command(t, "exit7")
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 7 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("signal", func(t *testing.T) {
		cmd := p.command(t, "sleep")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 6)); err != nil {
			t.Error(err)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		err = cmd.Wait()
		if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !st.Signaled() || st.Signal() != syscall.SIGTERM {
			t.Errorf("got %v", err)
		}
	})
	t.Run("stdin", func(t *testing.T) {
		cmd := p.command(t, "stdin")
		cmd.Stdin = strings.NewReader("through")
		if out, err := cmd.Output(); err != nil || string(out) != "through" {
			t.Errorf("got %q, %v", out, err)
		}
	})
	t.Run("inherited file", func(t *testing.T) {
		cmd := p.command(t, "look")
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		cmd.ExtraFiles = []*os.File{null}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var r report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		if want := append([]string{"3"}, look().OpenFiles...); !slices.Equal(r.OpenFiles, want) {
			t.Errorf("open for its children: %v, want %v", r.OpenFiles, want)
		}
	})
}

func TestEnterWhereForbidden(t *testing.T) {
	p := newPerson(t, "1000000-1065535")
	cmd := p.command(t, "forbidden")
	out, _ := cmd.CombinedOutput()
	want := "make user namespace: no space left on device: they are switched off\n  fix:  sudo sysctl -w user.max_user_namespaces=15000\n"
	if !strings.HasSuffix(string(out), want) || cmd.ProcessState.ExitCode() != 125 {
		t.Errorf("exit %d, got %q", cmd.ProcessState.ExitCode(), out)
	}
}

// The joiner's way to fail: a descriptor that is no user namespace.
func TestJoinerFails(t *testing.T) {
	code, err := joiner()
	if err != nil {
		t.Fatal(err)
	}
	defer code.Close()
	order, err := joinOrder(1)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), code.Fd()))
	cmd.Args = []string{order, "/bin/true", "true"}
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 125 || string(out) != "deckhand: enter user namespace: the kernel refused\n" {
		t.Errorf("exit %d, %q", cmd.ProcessState.ExitCode(), out)
	}
	if _, err := joinOrder(255); err == nil {
		t.Error("descriptor 255 was taken")
	}
}
