package raw_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
	"github.com/deckhand-engine/deckhand/internal/need"
)

const confinedArg = "become-confined"

// TestMain is the process that is to become another as well.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == confinedArg {
		becomeConfined(os.Args[2])
	}
	os.Exit(m.Run())
}

// becomeConfined executes a program behind a filter that kills what only Go's runtime asks for, while that has every
// reason to preempt.
func becomeConfined(program string) {
	for range 4 * runtime.GOMAXPROCS(0) {
		go func() {
			for {
				runtime.GC()
			}
		}()
	}
	runtime.LockOSThread()
	path, err := syscall.BytePtrFromString(program)
	if err != nil {
		panic(err)
	}
	if err := raw.Prctl(raw.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		panic(err)
	}
	filter := &raw.Filter{Program: killing(unix.SYS_FUTEX, unix.SYS_RT_SIGRETURN, unix.SYS_SCHED_YIELD, unix.SYS_NANOSLEEP, unix.SYS_TGKILL)}
	loading, executing := raw.Execve(filter, path, []*byte{path, nil}, []*byte{nil})
	panic(loading.Error() + executing.Error())
}

// killing is a filter that kills the process for these system calls. It is long, so that it takes a while to load.
func killing(calls ...uint32) []byte {
	type instruction struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	const nothing = unix.BPF_LD | unix.BPF_IMM
	var program []instruction
	for range 3000 {
		program = append(program, instruction{code: nothing})
	}
	program = append(program, instruction{code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}) // seccomp_data.nr
	for _, nr := range calls {
		program = append(
			program,
			instruction{unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, 0, 1, nr},
			instruction{code: unix.BPF_RET | unix.BPF_K, k: unix.SECCOMP_RET_KILL_PROCESS},
		)
	}
	program = append(program, instruction{code: unix.BPF_RET | unix.BPF_K, k: unix.SECCOMP_RET_ALLOW})
	var out []byte
	for _, in := range program {
		out = binary.NativeEndian.AppendUint16(out, in.code)
		out = append(out, in.jt, in.jf)
		out = binary.NativeEndian.AppendUint32(out, in.k)
	}
	return out
}

// TestExecveConfined has nothing of Go's runtime run behind a filter.
func TestExecveConfined(t *testing.T) {
	need.Program(t, "true")
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		out, err := exec.CommandContext(t.Context(), os.Args[0], confinedArg, program).CombinedOutput()
		if err != nil {
			t.Fatalf("attempt %d: %v\n%s", i, err, out)
		}
	}
}

// TestExecveErrors tells the filter's from the program's.
func TestExecveErrors(t *testing.T) {
	path, err := syscall.BytePtrFromString("/no/such/program")
	if err != nil {
		t.Fatal(err)
	}
	argv, envv := []*byte{path, nil}, []*byte{nil}
	broken := &raw.Filter{Program: []byte(strings.Repeat("\xff", 8))}
	tests := map[string]struct {
		execute   func() (loading, executing error)
		loading   error
		executing error
	}{
		"no program":                  {func() (error, error) { return raw.Execve(nil, path, argv, envv) }, nil, syscall.ENOENT},
		"no file":                     {func() (error, error) { return raw.Execveat(nil, -1, argv, envv) }, nil, syscall.EBADF},
		"no filter, and no program":   {func() (error, error) { return raw.Execve(broken, path, argv, envv) }, syscall.EINVAL, nil},
		"no filter, and not the file": {func() (error, error) { return raw.Execveat(broken, -1, argv, envv) }, syscall.EINVAL, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // it ends with the test
			if err := raw.Prctl(raw.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
				t.Fatal(err)
			}
			loading, executing := tt.execute()
			if !errors.Is(loading, tt.loading) || !errors.Is(executing, tt.executing) {
				t.Errorf("%v, %v, want %v, %v", loading, executing, tt.loading, tt.executing)
			}
		})
	}
}
